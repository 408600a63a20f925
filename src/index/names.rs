//! The names of all streams, in a few large blocks.

/// Names, each known by where it stands. What was added stays.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Each but the last is full, and none grows beyond what it was made with.
    blocks: Vec<String>,
}

/// Where a name stands: there is one for each stream, so it is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    block: u32,
    at: u16,
    len: u8,
}

const BLOCK: usize = 64 * 1024;

impl Names {
    pub(super) fn get(&self, name: Name) -> &str {
        let at = usize::from(name.at);
        &self.blocks[name.block as usize][at..at + usize::from(name.len)]
    }

    /// How many bytes they take in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.blocks.iter().map(String::capacity).sum()
    }

    /// Adds a name, which has at most 255 bytes.
    pub(super) fn add(&mut self, name: &str) -> Name {
        if self.blocks.last().is_none_or(|last| last.capacity() - last.len() < name.len()) {
            self.blocks.push(String::with_capacity(BLOCK));
        }
        let block = self.blocks.len() - 1;
        let last = &mut self.blocks[block];
        let at = last.len();
        last.push_str(name);
        Name { block: block as u32, at: at as u16, len: name.len() as u8 }
    }

    /// Takes over names of these lengths that stand one behind the other; where each stands.
    pub(super) fn take(&mut self, names: String, lens: &[u8]) -> Vec<Name> {
        let mut at = 0;
        let mut place = |len: &u8| {
            at += usize::from(*len);
            at - usize::from(*len)..at
        };
        if BLOCK < names.len() {
            return lens.iter().map(|len| self.add(&names[place(len)])).collect();
        }
        let block = self.blocks.len() as u32;
        self.blocks.push(names);
        lens.iter().map(|len| Name { block, at: place(len).start as u16, len: *len }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_where_they_are() {
        let mut names = Names::default();
        let taken = names.take("gamesome-stream".to_owned(), &[4, 4, 7]);
        assert_eq!([0, 1, 2].map(|number| names.get(taken[number])), ["game", "some", "-stream"]);
        // More than a block takes.
        let large = names.take("abc".repeat(30_000), &[3; 30_000]);
        assert!(large.len() == 30_000 && large.iter().all(|name| names.get(*name) == "abc"));
        let text = |number: usize| format!("{number}-{}", "x".repeat(number % 250));
        let added: Vec<Name> = (0..3_000).map(|number| names.add(&text(number))).collect();
        assert!(added.iter().enumerate().all(|(number, name)| names.get(*name) == text(number)));
        assert!(names.blocks.len() > 3 && names.blocks[1..].iter().all(|block| block.capacity() == BLOCK));
    }
}
