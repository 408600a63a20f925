//! Torn or damaged: from facts about one place of the log to the one right answer.

use crate::mutant::Mutant;

/// What is known about the bytes at some place of the log, and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// From here to the end of the segment there is nothing but zeros.
    pub(crate) blank: bool,
    /// All checksums of the batch hold.
    pub(crate) checksums: bool,
    /// Format, flags and kinds are known.
    pub(crate) known: bool,
    /// Positions, versions, epochs and times go on from what came before.
    pub(crate) sequel: bool,
    /// A witness says that the log was durable beyond this place.
    pub(crate) proven: bool,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The log ends here.
    End,
    /// The batch counts.
    Accept,
    /// What follows was never acknowledged and is left out.
    TornTail,
    /// Written by a newer version: refused by name.
    Newer,
    /// Acknowledged bytes are not there.
    Missing,
    /// Good bytes that do not belong here.
    Misplaced,
    /// Acknowledged bytes that do not verify.
    Unreadable,
}

/// The whole table. A bad batch with a good one behind it proves nothing by itself: unsynced pages reach the disk in
/// any order. Only what was proven durable can be damaged.
pub(crate) fn judge(facts: Facts) -> Verdict {
    match facts {
        Facts { blank: false, checksums: false, proven: true, .. } if Mutant::TakesDamageForTheEnd.is_on() => {
            Verdict::TornTail
        }
        Facts { blank: false, checksums: false, proven: false, .. } if Mutant::RefusesWhereItShouldEnd.is_on() => {
            Verdict::Unreadable
        }
        Facts { blank: true, proven: false, .. } => Verdict::End,
        Facts { blank: true, proven: true, .. } => Verdict::Missing,
        Facts { checksums: true, known: false, .. } => Verdict::Newer,
        Facts { checksums: true, sequel: true, .. } => Verdict::Accept,
        Facts { checksums: true, sequel: false, .. } => Verdict::Misplaced,
        Facts { checksums: false, proven: true, .. } => Verdict::Unreadable,
        Facts { checksums: false, proven: false, .. } => Verdict::TornTail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the design, row by row: blank, checksums, known, sequel, proven; `-` is either.
    const TABLE: [(&str, Verdict); 7] = [
        ("y---n", Verdict::End),
        ("y---y", Verdict::Missing),
        ("nyn--", Verdict::Newer),
        ("nyyy-", Verdict::Accept),
        ("nyyn-", Verdict::Misplaced),
        ("nn--y", Verdict::Unreadable),
        ("nn--n", Verdict::TornTail),
    ];

    #[test]
    fn every_combination_of_facts_has_the_verdict_of_exactly_one_row() {
        for bits in 0..32_u32 {
            let fact = |index: u32| bits >> index & 1 == 1;
            let facts = Facts { blank: fact(0), checksums: fact(1), known: fact(2), sequel: fact(3), proven: fact(4) };
            let fits =
                |row: &str| row.bytes().zip(0..).all(|(cell, index)| cell == b'-' || (cell == b'y') == fact(index));
            let rows: Vec<_> = TABLE.iter().filter(|(row, _)| fits(row)).collect();
            assert_eq!(rows.len(), 1, "{facts:?}");
            assert_eq!(judge(facts), rows[0].1, "{facts:?}");
        }
    }
}
