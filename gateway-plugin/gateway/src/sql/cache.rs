//! A map that is bounded by weight and forgets what was not asked for of late.
//!
//! Two generations: what is found in the old one moves to the young one; when the young one has half of the weight, it becomes
//! the old one, and what was left in that is gone. A look-up is one or two probes, and nothing is ordered.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Takes eight bytes of a key that is a digest already.
#[derive(Debug, Default)]
pub(super) struct OfDigest(u64);

impl Hasher for OfDigest {
    fn write(&mut self, bytes: &[u8]) {
        let mut eight = [0; 8];
        eight.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        self.0 = self.0.rotate_left(5) ^ u64::from_le_bytes(eight);
    }

    fn write_usize(&mut self, _: usize) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

type Generation<K, V> = HashMap<K, (V, usize), BuildHasherDefault<OfDigest>>;

/// The map. Its keys are digests.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: Generation<K, V>,
    old: Generation<K, V>,
    weight: usize,
    most: usize,
}

impl<K: Hash + Eq + Copy, V: Clone> Recent<K, V> {
    /// One that holds `most` bytes, by the weights that are given to it.
    #[must_use]
    pub(super) fn new(most: usize) -> Self {
        Self { young: Generation::default(), old: Generation::default(), weight: 0, most }
    }

    /// What stands under this key.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = self.old.remove(key)?;
        self.put(*key, value.clone(), weight);
        Some(value)
    }

    /// Keeps something of this weight in bytes, unless it alone is more than a quarter of all.
    pub(super) fn put(&mut self, key: K, value: V, weight: usize) {
        let weight = weight + size_of::<(K, V)>();
        if weight > self.most / 4 {
            return;
        }
        if self.weight + weight > self.most / 2 {
            self.old = std::mem::take(&mut self.young);
            self.weight = 0;
        }
        self.weight += weight;
        self.young.insert(key, (value, weight));
    }
}

#[cfg(test)]
mod tests {
    use super::Recent;

    #[test]
    fn what_is_asked_for_stays_and_the_rest_goes() {
        let mut map = Recent::new(10_000);
        for round in 0_u64..1000 {
            map.put([round, 0], round, 100);
            assert_eq!(map.get(&[0, 0]), Some(0), "round {round}");
        }
        assert_eq!(map.get(&[1, 0]), None);
        assert_eq!(map.get(&[999, 0]), Some(999));
        assert!(map.young.len() + map.old.len() <= 100, "the weight is bounded");
    }

    #[test]
    fn what_is_too_heavy_is_not_kept() {
        let mut map = Recent::new(10_000);
        map.put([1_u64], (), 3000);
        assert_eq!(map.get(&[1]), None);
    }
}
