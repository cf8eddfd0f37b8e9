//! Follows the topics of a running pipeline and counts what they hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::{Context, Result};
use hephaestus_pipeline::{
    engine::{Log, TopicPartition, pages::Pages},
    record::{Origin, Origins, Record},
};
use hephaestus_schemas::{
    Analysis, ChangeRequest, ChangeRequestEvent, ClassifiedLog, EvidenceKind, Pattern,
    ProposalStatus, ProposedChange,
    codec::Codec,
    topics::{
        ANALYSES, CHANGE_REQUESTS, CLASSIFIED_LOGS, PATTERNS, PROPOSED_CHANGES, dead_letter_topic,
    },
};

use crate::system::STAGES;

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

/// What the topics hold.
pub(crate) struct Tally {
    log: Arc<dyn Log>,
    codec: Codec,
    partitions: Vec<Pages>,
    /// Events.
    pub(crate) events: u64,
    /// Raw lines that events were read from.
    pub(crate) lines: u64,
    /// Records in dead letters.
    pub(crate) dead_letters: u64,
    patterns: BTreeSet<String>,
    aliases: BTreeMap<String, String>,
    /// Analyses, one for each incident.
    pub(crate) analyses: Vec<Analysis>,
    /// Proposals, the refused ones too.
    pub(crate) proposals: Vec<ProposedChange>,
    /// Change requests that were opened.
    pub(crate) opened: Vec<ChangeRequest>,
    /// What happened to change requests, by proposal.
    pub(crate) happened: BTreeMap<String, Vec<ChangeRequestEvent>>,
}

impl Tally {
    /// Counts from the beginning.
    pub(crate) async fn new(log: Arc<dyn Log>, codec: Codec) -> Result<Self> {
        let mut watched: Vec<String> =
            [CLASSIFIED_LOGS, PATTERNS, ANALYSES, PROPOSED_CHANGES, CHANGE_REQUESTS]
                .map(str::to_owned)
                .to_vec();
        watched.extend(STAGES.map(dead_letter_topic));
        let mut partitions = Vec::new();
        for topic in log.topics().await? {
            if !watched.iter().any(|name| name.as_str() == topic.spec.name.as_ref()) {
                continue;
            }
            for (partition, info) in (0..).zip(&topic.partitions) {
                let partition = TopicPartition { topic: topic.spec.name.clone(), partition };
                partitions.push(Pages::new(partition, info.earliest, READ_BYTES));
            }
        }
        Ok(Self {
            log,
            codec,
            partitions,
            events: 0,
            lines: 0,
            dead_letters: 0,
            patterns: BTreeSet::new(),
            aliases: BTreeMap::new(),
            analyses: Vec::new(),
            proposals: Vec::new(),
            opened: Vec::new(),
            happened: BTreeMap::new(),
        })
    }

    /// Takes in what is new.
    pub(crate) async fn update(&mut self) -> Result<()> {
        for index in 0..self.partitions.len() {
            while let Some(pages) = self.partitions.get_mut(index) {
                let records = pages.read(self.log.as_ref()).await?;
                if records.is_empty() {
                    break;
                }
                for record in &records {
                    let place =
                        || format!("{}/{}/{}", record.topic, record.partition, record.offset);
                    self.take(record).await.with_context(place)?;
                }
            }
        }
        Ok(())
    }

    async fn take(&mut self, record: &Record) -> Result<()> {
        let Some(value) = record.value.as_deref() else { return Ok(()) };
        match record.topic.as_ref() {
            CLASSIFIED_LOGS => {
                let event: ClassifiedLog = self.codec.decode(value).await?;
                self.events += 1;
                self.lines += u64::try_from(event.lines).unwrap_or(0);
                self.patterns.insert(event.pattern_id);
            }
            PATTERNS => {
                let pattern: Pattern = self.codec.decode(value).await?;
                if let Some(other) = pattern.alias_of {
                    self.aliases.insert(pattern.id, other);
                }
            }
            ANALYSES => self.analyses.push(self.codec.decode(value).await?),
            PROPOSED_CHANGES => self.proposals.push(self.codec.decode(value).await?),
            CHANGE_REQUESTS => {
                let request: ChangeRequest = self.codec.decode(value).await?;
                let happened = self.happened.entry(request.proposal_id.clone()).or_default();
                happened.push(request.event);
                if request.event == ChangeRequestEvent::Opened {
                    self.opened.push(request);
                }
            }
            _ => self.dead_letters += 1,
        }
        Ok(())
    }

    /// Patterns, those that turned out to be one counted once.
    pub(crate) fn patterns(&self) -> usize {
        let resolved: BTreeSet<&String> = self.patterns.iter().map(|id| self.resolve(id)).collect();
        resolved.len()
    }

    /// The pattern that a pattern is an alias of, over all links.
    fn resolve<'a>(&'a self, id: &'a String) -> &'a String {
        let mut current = id;
        for _ in 0..self.aliases.len() {
            match self.aliases.get(current) {
                Some(next) => current = next,
                None => break,
            }
        }
        current
    }

    /// Whether every proposal that passed its gates has come to an end or waits for a person.
    pub(crate) fn is_settled(&self) -> bool {
        let passed = self.proposals.iter().filter(|one| one.status == ProposalStatus::Proposed);
        let last = |one: &ProposedChange| {
            self.happened.get(&one.proposal_id).and_then(|events| events.last().copied())
        };
        passed.map(last).all(|event| {
            matches!(
                event,
                Some(
                    ChangeRequestEvent::Opened
                        | ChangeRequestEvent::Failed
                        | ChangeRequestEvent::Rejected
                        | ChangeRequestEvent::AwaitingDecision
                )
            )
        })
    }

    /// The raw lines that led to a change request.
    pub(crate) fn origins(&self, request: &ChangeRequest) -> Vec<Origin> {
        let proposal = self.proposals.iter().find(|one| one.proposal_id == request.proposal_id);
        let evidence = proposal.into_iter().flat_map(|one| &one.evidence);
        let mut origins = Vec::new();
        for piece in evidence.filter(|piece| piece.kind == EvidenceKind::Log) {
            let parsed: Result<Origins, _> = piece.origin.parse();
            for origin in parsed.unwrap_or_default().0 {
                if !origins.contains(&origin) {
                    origins.push(origin);
                }
            }
        }
        origins
    }

    /// The lines of an origin, as they were sent.
    pub(crate) async fn lines_of(&self, origin: &Origin) -> Result<Vec<String>> {
        let partition = TopicPartition { topic: origin.topic.clone(), partition: origin.partition };
        let records = self.log.read(&partition, origin.first, READ_BYTES).await?;
        let inside = records.iter().take_while(|record| record.offset <= origin.last);
        let text = inside.filter_map(|record| record.value.as_deref());
        Ok(text.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect())
    }
}
