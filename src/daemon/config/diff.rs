//! What changes between two configurations, and when it can be in force.
//!
//! Called by `mqttd reload`. Applies nothing.

use super::Loaded;
use super::schema::{Applies, keys};
use crate::admin::Reloaded;

/// The keys whose values differ, by when the new one can be in force.
#[must_use]
pub fn diff(old: &Loaded, new: &Loaded) -> Reloaded {
    let mut reloaded = Reloaded::default();
    let pairs = old.settings.iter().zip(&new.settings);
    for (key, (old, new)) in keys().iter().zip(pairs) {
        if old.value == new.value {
            continue;
        }
        match key.applies {
            Applies::OnReload => reloaded.applied.push(key.path.to_owned()),
            Applies::OnRestart => reloaded.needs_restart.push(key.path.to_owned()),
        }
    }
    reloaded
}

impl Loaded {
    /// What is in force after a reload of `new`: the keys that apply at once are taken from it, the
    /// others stay as they were at the start.
    #[must_use]
    pub fn reloaded(&self, new: Self) -> Self {
        let pairs = self.settings.iter().zip(new.settings);
        let settings = keys().iter().zip(pairs).map(|(key, (old, new))| match key.applies {
            Applies::OnReload => new,
            Applies::OnRestart => old.clone(),
        });
        Self::from_settings(settings.collect(), new.files, new.digest)
    }
}
