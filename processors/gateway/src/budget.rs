//! A budget of bytes that requests share: what is in memory at once never passes it.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A budget. A clone shares it.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    semaphore: Arc<Semaphore>,
    /// Bytes that one permit stands for: a semaphore counts in 32 bits.
    unit: usize,
    units: u32,
}

/// Bytes taken from a budget, given back when dropped.
#[derive(Debug)]
pub struct Taken {
    _permit: OwnedSemaphorePermit,
}

impl ByteBudget {
    /// A budget of that many bytes.
    pub fn new(bytes: usize) -> Self {
        const UNIT: usize = 1024;
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).max(1);
        Self { semaphore: Arc::new(Semaphore::new(units as usize)), unit: UNIT, units }
    }

    /// Bytes that are not taken, rounded up.
    pub fn available(&self) -> usize {
        self.semaphore.available_permits().saturating_mul(self.unit)
    }

    /// Takes bytes where they are to be had at once. More than the whole budget counts as all of
    /// it, so that what other bounds allow can always pass.
    pub fn try_take(&self, bytes: usize) -> Option<Taken> {
        let permit = self.semaphore.clone().try_acquire_many_owned(self.units_of(bytes));
        permit.ok().map(|permit| Taken { _permit: permit })
    }

    /// Waits for bytes, in the order of asking.
    pub async fn take(&self, bytes: usize) -> Option<Taken> {
        let permit = self.semaphore.clone().acquire_many_owned(self.units_of(bytes));
        permit.await.ok().map(|permit| Taken { _permit: permit })
    }

    fn units_of(&self, bytes: usize) -> u32 {
        let units = u32::try_from(bytes.div_ceil(self.unit)).unwrap_or(u32::MAX);
        units.min(self.units)
    }
}

#[cfg(test)]
mod tests {
    use super::ByteBudget;

    #[test]
    fn what_is_taken_is_gone_until_it_is_given_back() {
        let budget = ByteBudget::new(10 * 1024);
        let first = budget.try_take(8 * 1024);
        assert!(first.is_some());
        assert!(budget.try_take(3 * 1024).is_none());
        drop(first);
        assert!(budget.try_take(3 * 1024).is_some());
        assert!(budget.try_take(usize::MAX).is_some());
    }
}
