//! Records to be written together, shared and not copied: a commit that is tried again costs no copy of them.

use std::sync::Arc;

use crate::record::NewRecord;

/// Records in order, in runs that were made together.
#[derive(Debug, Clone, Default)]
pub struct Records {
    runs: Vec<Arc<Vec<NewRecord>>>,
}

impl Records {
    /// Adds records at the end.
    pub fn push_run(&mut self, run: Arc<Vec<NewRecord>>) {
        if !run.is_empty() {
            self.runs.push(run);
        }
    }

    /// Adds a record at the end.
    pub fn push(&mut self, record: NewRecord) {
        self.push_run(Arc::new(vec![record]));
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.runs.iter().map(|run| run.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The records, in order.
    pub fn iter(&self) -> impl Iterator<Item = &NewRecord> {
        self.into_iter()
    }
}

impl From<Vec<NewRecord>> for Records {
    fn from(records: Vec<NewRecord>) -> Self {
        let mut run = Self::default();
        run.push_run(Arc::new(records));
        run
    }
}

impl Extend<NewRecord> for Records {
    fn extend<I: IntoIterator<Item = NewRecord>>(&mut self, records: I) {
        self.push_run(Arc::new(records.into_iter().collect()));
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = &'a NewRecord;
    type IntoIter = std::iter::FlatMap<
        std::slice::Iter<'a, Arc<Vec<NewRecord>>>,
        std::slice::Iter<'a, NewRecord>,
        fn(&'a Arc<Vec<NewRecord>>) -> std::slice::Iter<'a, NewRecord>,
    >;

    fn into_iter(self) -> Self::IntoIter {
        self.runs.iter().flat_map(|run| run.iter())
    }
}
