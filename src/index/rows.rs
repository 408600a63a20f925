//! A list that grows without moving what it holds, and without room for twice as much.

/// Values by number.
#[derive(Debug)]
pub(super) struct Rows<T> {
    /// Each but the last is full.
    chunks: Vec<Vec<T>>,
    len: usize,
}

const CHUNK: usize = 1_024;

impl<T> Default for Rows<T> {
    fn default() -> Rows<T> {
        Rows { chunks: Vec::new(), len: 0 }
    }
}

impl<T> Rows<T> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn push(&mut self, value: T) {
        if self.len.is_multiple_of(CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        self.chunks[self.len / CHUNK].push(value);
        self.len += 1;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }
}

impl<T> std::ops::Index<usize> for Rows<T> {
    type Output = T;

    fn index(&self, number: usize) -> &T {
        &self.chunks[number / CHUNK][number % CHUNK]
    }
}

impl<T> std::ops::IndexMut<usize> for Rows<T> {
    fn index_mut(&mut self, number: usize) -> &mut T {
        &mut self.chunks[number / CHUNK][number % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_where_they_were_put() {
        let mut rows = Rows::default();
        (0..3 * CHUNK + 5).for_each(|number| rows.push(number));
        rows[CHUNK] += 7;
        let expected = |number| if number == CHUNK { CHUNK + 7 } else { number };
        assert!((0..rows.len()).all(|number| rows[number] == expected(number)));
        assert!(rows.iter().copied().eq((0..rows.len()).map(expected)));
    }
}
