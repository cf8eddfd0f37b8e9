//! The group's keyed state as its stages read it: the local copy of the partitions that the member has.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::{inbox::Inbox, store::Store};
use crate::engine::{EngineError, StateReader};

/// Reads the local copy. Reads take microseconds; they are done where they are asked for.
pub(super) struct MemberState {
    pub(super) inbox: Arc<Inbox>,
    /// None where the group keeps no state.
    pub(super) store: Option<Arc<Store>>,
}

impl MemberState {
    /// The copy, where it may be read: of a partition that is another's it is out of date.
    fn store(&self, partition: u32) -> Result<Option<&Store>, EngineError> {
        let Some(store) = &self.store else { return Ok(None) };
        if !self.inbox.is_told(partition) {
            let message = format!("partition {partition} is not this member's");
            return Err(EngineError::Unavailable(message));
        }
        Ok(Some(store))
    }
}

#[async_trait]
impl StateReader for MemberState {
    async fn get(&self, partition: u32, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        match self.store(partition)? {
            Some(store) => store.get(partition, key),
            None => Ok(None),
        }
    }

    async fn scan(
        &self,
        partition: u32,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, EngineError> {
        match self.store(partition)? {
            Some(store) => store.scan(partition, after, limit),
            None => Ok(Vec::new()),
        }
    }
}
