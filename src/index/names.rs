//! The names of all streams, in a few large blocks.

/// Names, each known by where it stands. What was added stays.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Each but the last is full, and none grows beyond what it was made with.
    blocks: Vec<String>,
}

/// Where a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    block: u32,
    at: u32,
    len: u8,
}

const BLOCK: usize = 64 * 1024;

impl Names {
    pub(super) fn get(&self, name: Name) -> &str {
        let at = name.at as usize;
        &self.blocks[name.block as usize][at..at + usize::from(name.len)]
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
        Name { block: block as u32, at: at as u32, len: name.len() as u8 }
    }

    /// Takes over names that stand one behind the other; where the first of them stands.
    pub(super) fn take(&mut self, names: String) -> Name {
        self.blocks.push(names);
        Name { block: (self.blocks.len() - 1) as u32, at: 0, len: 0 }
    }
}

impl Name {
    /// The name of this length behind this one in the same block.
    pub(super) fn next(self, len: u8) -> Name {
        Name { at: self.at + u32::from(self.len), len, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_where_they_are() {
        let mut names = Names::default();
        let mut name = names.take("gamesome-stream".to_owned());
        for (len, text) in [(4, "game"), (4, "some"), (7, "-stream")] {
            name = name.next(len);
            assert_eq!(names.get(name), text);
        }
        let text = |number: usize| format!("{number}-{}", "x".repeat(number % 250));
        let added: Vec<Name> = (0..3_000).map(|number| names.add(&text(number))).collect();
        assert!(added.iter().enumerate().all(|(number, name)| names.get(*name) == text(number)));
        assert!(names.blocks.len() > 3 && names.blocks[1..].iter().all(|block| block.capacity() == BLOCK));
    }
}
