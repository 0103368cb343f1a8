//! Runs every oracle.

use super::breach::Breach;
use super::evidence::Evidence;
use super::{attempts, completions, leftovers, logs, single_effects, slots};

impl Evidence {
    /// Lists every broken promise, in the order of the promises.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for oracle in
            [completions::check, attempts::check, slots::check, leftovers::check, single_effects::check, logs::check]
        {
            oracle(self, &mut breaches);
        }
        breaches
    }

    /// Fails a test with the list of broken promises.
    ///
    /// # Panics
    ///
    /// Panics if a promise is broken.
    pub fn assert_holds(&self) {
        let breaches: Vec<String> = self.breaches().iter().map(Breach::to_string).collect();
        assert!(breaches.is_empty(), "{}", breaches.join("\n"));
    }
}
