"""XXH3-128 with seed 0, for 17 bytes and more: nothing shorter has a digest in a log."""

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)
MASK = 2**64 - 1
PRIME32 = (0, 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D)
PRIME64 = (0, 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)


def word(data, offset):
    return int.from_bytes(data[offset : offset + 8], "little")


def fold(left, right):
    """The product of two words, its halves laid over each other."""
    product = left * right
    return (product & MASK) ^ (product >> 64)


def avalanche(hash):
    hash ^= hash >> 37
    hash = hash * 0x165667919E3779F9 & MASK
    return hash ^ hash >> 32


def mix(data, offset, secret):
    return fold(word(data, offset) ^ word(SECRET, secret), word(data, offset + 8) ^ word(SECRET, secret + 8))


def mix_two(low, high, data, first, second, secret):
    low = (low + mix(data, first, secret) & MASK) ^ (word(data, second) + word(data, second + 8) & MASK)
    high = (high + mix(data, second, secret + 16) & MASK) ^ (word(data, first) + word(data, first + 8) & MASK)
    return low, high


def of_some(data):
    """17 to 240 bytes."""
    size = len(data)
    low, high = size * PRIME64[1] & MASK, 0
    if size <= 128:
        for i in reversed(range((size - 1) // 32 + 1)):
            low, high = mix_two(low, high, data, 16 * i, size - 16 * (i + 1), 32 * i)
    else:
        for i in range(4):
            low, high = mix_two(low, high, data, 32 * i, 32 * i + 16, 32 * i)
        low, high = avalanche(low), avalanche(high)
        for i in range(4, size // 32):
            low, high = mix_two(low, high, data, 32 * i, 32 * i + 16, 3 + 32 * (i - 4))
        low, high = mix_two(low, high, data, size - 16, size - 32, 103)
    first = avalanche(low + high & MASK)
    second = -avalanche(low * PRIME64[1] + high * PRIME64[4] + size * PRIME64[2] & MASK) & MASK
    return second << 64 | first


def of_many(data):
    """More than 240 bytes: stripes of 64 bytes, 16 to a block."""
    size = len(data)
    secret = [word(SECRET, 8 * i) for i in range(24)]
    lanes = [PRIME32[3], PRIME64[1], PRIME64[2], PRIME64[3], PRIME64[4], PRIME32[2], PRIME64[5], PRIME32[1]]

    def accumulate(offset, keys):
        for i in range(8):
            value = word(data, offset + 8 * i)
            key = value ^ keys[i]
            lanes[i ^ 1] = lanes[i ^ 1] + value & MASK
            lanes[i] = lanes[i] + (key & 0xFFFFFFFF) * (key >> 32) & MASK

    for stripe in range((size - 1) // 64):
        accumulate(64 * stripe, secret[stripe % 16 :])
        if stripe % 16 == 15:
            for i in range(8):
                lanes[i] = (lanes[i] ^ lanes[i] >> 47 ^ secret[16 + i]) * PRIME32[1] & MASK
    accumulate(size - 64, [word(SECRET, 121 + 8 * i) for i in range(8)])

    def merge(hash, offset):
        for i in range(0, 8, 2):
            hash += fold(lanes[i] ^ word(SECRET, offset + 8 * i), lanes[i + 1] ^ word(SECRET, offset + 8 * i + 8))
        return avalanche(hash & MASK)

    return merge(~(size * PRIME64[2]) & MASK, 117) << 64 | merge(size * PRIME64[1] & MASK, 11)


def xxh3_128(data):
    assert len(data) > 16
    return of_some(data) if len(data) <= 240 else of_many(data)
