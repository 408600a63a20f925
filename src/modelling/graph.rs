//! Shapes and the steps between them as a graph: the way from each shape to the shapes that an enum reads, and what is
//! wrong with it. It knows numbers and names, no payload and no store.
//!
//! A step has one end for each shape it hands out: one as a rule, several where it splits an event, none where it discards
//! it. From each shape the shortest way is taken; the length of a way that splits is that of its longest part. Where only
//! some parts of a split lead to what is read, they make the way, and the others stay unknown to the enum. What is discarded
//! has a way too, but one that leads to something goes before.

use super::fault::RegistryFault;
use super::shape::EventShape;
use std::collections::{BTreeMap, BTreeSet};

/// A way has at most so many steps: each is taken inside of the one before.
pub(super) const LENGTH_MAX: usize = 1_000;

/// Shapes and steps, both by number.
pub(super) struct Graph {
    shapes: Vec<EventShape>,
    numbers: BTreeMap<EventShape, usize>,
    steps: Vec<Arrow>,
    /// By shape the steps that begin there, and the shapes that a step leads from to it.
    out: Vec<Vec<usize>>,
    before: Vec<Vec<usize>>,
    /// Every shape behind all those that steps lead to from it, where there is such an order.
    order: Vec<usize>,
    /// By shape whether a cycle can be reached from it.
    is_endless: Vec<bool>,
    cycles: Vec<Vec<usize>>,
}

/// A step: where it begins, and where it ends.
struct Arrow {
    from: usize,
    to: Vec<usize>,
}

/// What becomes of an event on its way to an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The enum reads it as it is.
    Read,
    /// It takes this step; the longest way behind it, itself included, has so many.
    Step { step: usize, length: usize },
    /// It is of no interest.
    Nothing,
}

/// The ways from all shapes to one enum.
pub(super) struct Ways {
    /// By the number of the shape; `None` where the enum knows nothing of it.
    ways: Vec<Option<Way>>,
    /// Where nothing says which of several is to be taken, or it is too long.
    pub(super) faults: Vec<RegistryFault>,
}

impl Graph {
    /// The graph of these steps, and of shapes that need not have any.
    pub(super) fn new<'a>(
        shapes: impl IntoIterator<Item = &'a EventShape>,
        steps: impl IntoIterator<Item = (&'a EventShape, &'a [EventShape])>,
    ) -> Graph {
        let mut graph = Graph {
            shapes: Vec::new(),
            numbers: BTreeMap::new(),
            steps: Vec::new(),
            out: Vec::new(),
            before: Vec::new(),
            order: Vec::new(),
            is_endless: Vec::new(),
            cycles: Vec::new(),
        };
        for shape in shapes {
            graph.add(shape);
        }
        for (from, to) in steps {
            let from = graph.add(from);
            let to: Vec<usize> = to.iter().map(|shape| graph.add(shape)).collect();
            graph.out[from].push(graph.steps.len());
            for to in &to {
                graph.before[*to].push(from);
            }
            graph.steps.push(Arrow { from, to });
        }
        graph.walk();
        graph
    }

    fn add(&mut self, shape: &EventShape) -> usize {
        if let Some(number) = self.numbers.get(shape) {
            return *number;
        }
        let number = self.shapes.len();
        self.shapes.push(shape.clone());
        self.numbers.insert(shape.clone(), number);
        self.out.push(Vec::new());
        self.before.push(Vec::new());
        self.is_endless.push(false);
        number
    }

    /// The shapes that a step leads to from this one.
    fn next(&self, shape: usize) -> impl Iterator<Item = usize> {
        self.out[shape].iter().flat_map(|step| self.steps[*step].to.iter().copied())
    }

    /// Puts the shapes in order and finds the cycles: a walk in depth, on a stack of its own.
    fn walk(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            Not,
            OnStack,
            Done,
        }
        let mut seen = vec![Seen::Not; self.shapes.len()];
        for start in 0..self.shapes.len() {
            if seen[start] != Seen::Not {
                continue;
            }
            seen[start] = Seen::OnStack;
            let mut stack: Vec<(usize, Vec<usize>)> = vec![(start, self.next(start).collect())];
            while let Some((shape, rest)) = stack.last_mut() {
                let shape = *shape;
                match rest.pop() {
                    None => {
                        seen[shape] = Seen::Done;
                        self.order.push(shape);
                        stack.pop();
                    }
                    Some(next) if seen[next] == Seen::Not => {
                        seen[next] = Seen::OnStack;
                        stack.push((next, self.next(next).collect()));
                    }
                    Some(next) if seen[next] == Seen::OnStack => {
                        let begin = stack.iter().position(|(on_stack, _)| *on_stack == next).unwrap_or(0);
                        self.cycles.push(stack[begin..].iter().map(|(shape, _)| *shape).collect());
                    }
                    Some(_) => {}
                }
            }
        }
        for shape in self.cycles.iter().flatten() {
            self.is_endless[*shape] = true;
        }
        // A cycle may be reached from a shape that was left before it was found; with cycles, order says nothing.
        let endless: Vec<usize> = self.reaching(&self.is_endless);
        for shape in endless {
            self.is_endless[shape] = true;
        }
    }

    /// The shapes from which one of the marked ones can be reached, themselves included.
    fn reaching(&self, marked: &[bool]) -> Vec<usize> {
        let mut is_reaching = marked.to_vec();
        let mut stack: Vec<usize> = (0..marked.len()).filter(|shape| marked[*shape]).collect();
        while let Some(shape) = stack.pop() {
            for from in &self.before[shape] {
                if !is_reaching[*from] {
                    is_reaching[*from] = true;
                    stack.push(*from);
                }
            }
        }
        (0..marked.len()).filter(|shape| is_reaching[*shape]).collect()
    }

    /// Every shape there is.
    pub(super) fn shapes(&self) -> &[EventShape] {
        &self.shapes
    }

    /// What is wrong with the steps, whoever reads what they lead to.
    pub(super) fn faults<'a>(&self, read: impl IntoIterator<Item = &'a EventShape>) -> Vec<RegistryFault> {
        let mut faults = self.conflicts();
        let cycles = self.cycles.iter().filter(|cycle| 1 < cycle.len());
        faults.extend(cycles.map(|cycle| RegistryFault::Cycle { shapes: self.named(cycle) }));
        faults.extend(self.downgrades());
        faults.extend(self.dead_ends(read));
        faults
    }

    fn conflicts(&self) -> Vec<RegistryFault> {
        let mut faults = Vec::new();
        for (from, steps) in self.out.iter().enumerate() {
            let mut ends: Vec<Option<usize>> = Vec::new();
            for step in steps {
                match &self.steps[*step].to[..] {
                    [] => ends.push(None),
                    to => ends.extend(to.iter().copied().map(Some)),
                }
            }
            ends.sort_unstable();
            let mut told = None;
            for pair in ends.windows(2) {
                // Three steps to one shape are one conflict.
                if pair[0] == pair[1] && told != Some(pair[0]) {
                    told = Some(pair[0]);
                    let to = pair[0].map(|to| self.shapes[to].clone());
                    faults.push(RegistryFault::ConflictingSteps { from: self.shapes[from].clone(), to });
                }
            }
        }
        faults
    }

    /// Steps, one or many, to the same type with a schema that is not higher. What is part of a cycle is told there.
    fn downgrades(&self) -> Vec<RegistryFault> {
        let mut faults = Vec::new();
        for (from, shape) in self.shapes.iter().enumerate() {
            for to in self.behind(from) {
                let end = &self.shapes[to];
                let is_down = end.event_type() == shape.event_type() && end.schema() <= shape.schema();
                let is_cycle = || match to == from {
                    true => !self.next(from).any(|next| next == from),
                    false => self.behind(to).contains(&from),
                };
                if is_down && !is_cycle() {
                    faults.push(RegistryFault::Downgrade { from: shape.clone(), to: end.clone() });
                }
            }
        }
        faults
    }

    /// The shapes that at least one step leads to. It costs as much as there are, however large the graph.
    fn behind(&self, shape: usize) -> BTreeSet<usize> {
        let mut behind = BTreeSet::new();
        let mut stack: Vec<usize> = self.next(shape).collect();
        while let Some(next) = stack.pop() {
            if behind.insert(next) {
                stack.extend(self.next(next));
            }
        }
        behind
    }

    /// The shapes from which nothing that is read can be reached, and which are not discarded either.
    fn dead_ends<'a>(&self, read: impl IntoIterator<Item = &'a EventShape>) -> Vec<RegistryFault> {
        let mut is_end = vec![false; self.shapes.len()];
        let ends = read.into_iter().filter_map(|shape| self.numbers.get(shape).copied());
        let discarded = self.steps.iter().filter(|step| step.to.is_empty()).map(|step| step.from);
        ends.chain(discarded).for_each(|shape| is_end[shape] = true);
        let mut is_dead = vec![true; self.shapes.len()];
        self.reaching(&is_end).into_iter().for_each(|shape| is_dead[shape] = false);
        let dead = (0..self.shapes.len()).filter(|shape| is_dead[*shape]);
        dead.map(|shape| RegistryFault::NoPath { shape: self.shapes[shape].clone() }).collect()
    }

    /// The ways to an enum that reads these shapes. None lead out of shapes from which a cycle can be reached.
    pub(super) fn ways<'a>(&self, events: &'static str, read: impl IntoIterator<Item = &'a EventShape>) -> Ways {
        let mut is_read = vec![false; self.shapes.len()];
        read.into_iter().filter_map(|shape| self.numbers.get(shape)).for_each(|shape| is_read[*shape] = true);
        let mut ways = Ways { ways: vec![None; self.shapes.len()], faults: Vec::new() };
        for shape in self.order.iter().copied().filter(|shape| !self.is_endless[*shape]) {
            if is_read[shape] {
                ways.ways[shape] = Some(Way::Read);
                continue;
            }
            let through = |step: &usize| Some((*step, self.through(*step, &ways)?));
            let found: Vec<(usize, Way)> = self.out[shape].iter().filter_map(through).collect();
            let shortest = found.iter().filter_map(|(_, way)| way.length()).min();
            let best: Vec<(usize, Way)> = found.into_iter().filter(|(_, way)| way.length() == shortest).collect();
            ways.ways[shape] = best.first().map(|(_, way)| *way);
            if shortest.is_some_and(|length| LENGTH_MAX < length) {
                ways.faults.push(RegistryFault::TooLong { from: self.shapes[shape].clone(), events });
            }
            for (step, _) in best.iter().skip(1).filter(|_| shortest.is_some()) {
                let (first, second) = (self.path(shape, best[0].0, &ways), self.path(shape, *step, &ways));
                // Two steps between the same shapes are told elsewhere.
                if first != second {
                    ways.faults.push(RegistryFault::Ambiguous { events, first, second });
                }
            }
        }
        ways
    }

    /// The way that begins with a step, where the ways from all its ends are known.
    fn through(&self, step: usize, ways: &Ways) -> Option<Way> {
        let ends = || self.steps[step].to.iter().map(|to| ways.ways[*to]);
        let lengths = ends().filter_map(|way| way.and_then(Way::length));
        match lengths.max() {
            Some(length) => Some(Way::Step { step, length: length + 1 }),
            None => ends().all(|way| way == Some(Way::Nothing)).then_some(Way::Nothing),
        }
    }

    /// The shapes along the longest part of the way that begins with a step.
    fn path(&self, from: usize, step: usize, ways: &Ways) -> Vec<EventShape> {
        let mut path = vec![from];
        let mut next = Some(step);
        while let Some(step) = next {
            let length_of = |to: &usize| ways.ways[*to].and_then(Way::length);
            // The first of several that are equally long.
            let longest = self.steps[step].to.iter().rev().max_by_key(|to| length_of(to));
            let Some(longest) = longest else { break };
            path.push(*longest);
            next = match ways.ways[*longest] {
                Some(Way::Step { step, .. }) => Some(step),
                _ => None,
            };
        }
        self.named(&path)
    }

    fn named(&self, shapes: &[usize]) -> Vec<EventShape> {
        shapes.iter().map(|shape| self.shapes[*shape].clone()).collect()
    }
}

impl Way {
    /// How many steps there are to something that is read; `None` where the way leads to nothing.
    fn length(self) -> Option<usize> {
        match self {
            Way::Read => Some(0),
            Way::Step { length, .. } => Some(length),
            Way::Nothing => None,
        }
    }
}

impl Ways {
    /// The shapes that have a way, with it.
    pub(super) fn of<'a>(&self, graph: &'a Graph) -> impl Iterator<Item = (&'a EventShape, Way)> {
        graph.shapes.iter().zip(self.ways.iter()).filter_map(|(shape, way)| Some((shape, (*way)?)))
    }

    /// Whether there is a way that takes this step first, whether it is the shortest or not.
    pub(super) fn could_take(&self, graph: &Graph, step: usize) -> bool {
        graph.through(step, self).is_some_and(|way| way != Way::Nothing)
    }
}
