//! Sorts lists that no line waits for. The standard library's stable sort takes 5 KB of the program
//! for every type that is sorted (`nm --size-sort`); here all types share one, which sorts numbers
//! of items. Unit: one list.

use std::cmp::Ordering;

/// Sorts `items` by `compare`; equal items keep their order. Allocates the list once more.
pub(crate) fn sort_by<T>(items: &mut Vec<T>, compare: impl Fn(&T, &T) -> Ordering) {
    let order = order(items.len(), &|one, other| compare(&items[one], &items[other]));
    let mut taken: Vec<Option<T>> = items.drain(..).map(Some).collect();
    items.extend(order.into_iter().filter_map(|at| taken[at].take()));
}

/// Sorts `items` by a key; equal items keep their order. Allocates the list once more.
pub(crate) fn sort_by_key<T, K: Ord>(items: &mut Vec<T>, key: impl Fn(&T) -> K) {
    sort_by(items, |one, other| key(one).cmp(&key(other)));
}

/// Returns the numbers of `count` items in their order.
fn order(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut all: Vec<usize> = (0..count).collect();
    all.sort_by(|one, other| compare(*one, *other));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// It is the stable sort of the standard library.
        #[test]
        fn property_it_sorts_as_the_standard_library(
            items in prop::collection::vec((0..5_u8, any::<u16>()), 0..40),
        ) {
            let (mut ours, mut theirs) = (items.clone(), items);
            sort_by_key(&mut ours, |(key, _)| *key);
            theirs.sort_by_key(|(key, _)| *key);
            prop_assert_eq!(ours, theirs);
        }
    }
}
