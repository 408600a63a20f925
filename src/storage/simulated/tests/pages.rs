//! The bytes of a file against plain bytes.

use super::super::pages::{Pages, SECTOR_BYTES};
use super::*;

#[test]
fn pages_hold_what_plain_bytes_would_and_copies_go_their_own_way() {
    for seed in 0..50 {
        let mut chance = SplitMix(seed);
        let mut below = |bound: usize| (chance.next() % bound as u64) as usize;
        let mut worlds = vec![(Pages::default(), Vec::new())];
        for step in 0..200 {
            let (which, is_room) = (below(worlds.len()), worlds.len() < 4);
            let (pages, plain) = &mut worlds[which];
            match below(8) {
                0 => {
                    let len = below(plain.len() + 10);
                    pages.cut(len);
                    plain.truncate(len);
                }
                1 => {
                    let sector = below(plain.len() / SECTOR_BYTES + 1);
                    let content = [step as u8; SECTOR_BYTES];
                    pages.put_sector(sector, &content);
                    let start = sector * SECTOR_BYTES;
                    let end = plain.len().min(start + SECTOR_BYTES);
                    plain[start.min(end)..end].fill(step as u8);
                }
                2 if is_room => {
                    let copy = worlds[which].clone();
                    worlds.push(copy);
                }
                _ => {
                    let (start, len) = (below(plain.len() + 6_000), below(9_000));
                    let bytes = vec![if below(3) == 0 { 0 } else { step as u8 }; len];
                    pages.write(&bytes, start);
                    plain.resize(plain.len().max(start + len), 0);
                    plain[start..start + len].copy_from_slice(&bytes);
                }
            }
            for (pages, plain) in &worlds {
                assert!(pages.len() == plain.len() && pages.to_vec() == *plain, "seed {seed}, step {step}");
                let (start, mut buffer) = (below(plain.len() + 5_000), vec![0xEE; below(9_000)]);
                let read = pages.read(&mut buffer, start);
                let expected = plain.get(start..).unwrap_or_default();
                assert_eq!(buffer[..read], expected[..expected.len().min(buffer.len())], "seed {seed}, step {step}");
                let sector = below(plain.len() / SECTOR_BYTES + 9);
                let mut expected = plain.get(sector * SECTOR_BYTES..).unwrap_or_default().to_vec();
                expected.resize(SECTOR_BYTES, 0);
                assert_eq!(pages.sector(sector)[..], expected, "seed {seed}, step {step}, sector {sector}");
            }
        }
    }
}
