//! Rows into sealed leads, on worker threads: parsed, refused or tagged, sealed under a leaf taken ahead.
//!
//! Nothing here waits for a database. Every row is sealed as a new lead, before anybody knows whether it is
//! one: most are, and a row that turns out to be a duplicate costs one sealing that is thrown away. Each
//! portion takes the key ring as it is then: an upload that runs for long keeps no forgotten key in memory.

use std::sync::{Arc, Mutex, PoisonError};

use leadvault_domain::{
    Clock, Entropy, FieldNo, Fields, LabelFlag, Labels, LeadId, LeafAddress, TagKind,
};
use leadvault_keys::Keyring;
use leadvault_store::{LeadTags, NewLead, Part};
use zeroize::Zeroizing;

use super::super::terms::{self, Term};
use super::super::{ParsedRow, Place, Plan, RawRow, RefusedRow, RowParser, Rules};
use crate::error::{Fault, Refusal};
use crate::lead_codec::{SCHEMA, encode};
use crate::room::{DatasetControl, Room};
use crate::suppression;

/// A row as the reader gave it.
pub(super) enum Raw {
    Row(RawRow),
    Refused(RefusedRow),
}

impl Raw {
    pub(super) fn end_byte(&self) -> u64 {
        match self {
            Self::Row(row) => row.end_byte,
            Self::Refused(row) => row.end_byte,
        }
    }

    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Row(row) => row.number,
            Self::Refused(row) => row.number,
        }
    }
}

/// Rows of one slice, and the bytes of the file up to its end.
pub(super) struct Portion {
    pub(super) rows: Vec<Raw>,
    /// From the end of the slice before on.
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) next_byte: u64,
    pub(super) next_row: u64,
    pub(super) plan: Arc<Plan>,
    /// A leaf for each row.
    pub(super) leaves: Vec<u32>,
}

/// A row that may become a lead.
pub(super) struct ReadyRow {
    pub(super) number: u64,
    /// Its values, where a merge may need them.
    pub(super) fields: Fields,
    /// The lead it becomes unless somebody is there already.
    pub(super) lead: NewLead,
    /// What it is recognised by, in the order in which it decides.
    pub(super) keys: Vec<Key>,
    /// Tags to look for in the suppression list.
    pub(super) suppression: Vec<suppression::Tag>,
}

/// A value somebody is recognised by: kind and tag.
pub(super) type Key = (TagKind, i64);

/// A row when the workers are done with it.
pub(super) enum Ready {
    Row(Box<ReadyRow>),
    Refused(RefusedRow),
}

/// A portion when the workers are done with it.
pub(super) struct Slice {
    pub(super) rows: Vec<Ready>,
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) next_byte: u64,
    pub(super) next_row: u64,
    pub(super) plan: Arc<Plan>,
}

/// Parses and seals for one upload; shared by its workers.
pub(super) struct Press {
    pub(super) room: Arc<Room>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) dataset: Arc<DatasetControl>,
    /// Number of the import.
    pub(super) batch: u32,
    pub(super) quarantined: bool,
    pub(super) rules: Rules,
    /// Default region of phones.
    pub(super) region: Option<String>,
    /// Kinds of values duplicates are recognised by.
    pub(super) kinds: Vec<TagKind>,
    /// Whether rows may be merged, so that their values are needed until the slice is stored.
    pub(super) keeps_fields: bool,
    /// Parsers that are not in use. Making one costs more than a row.
    pub(super) parsers: Mutex<Vec<(Arc<Plan>, RowParser)>>,
}

impl Press {
    /// Parses and seals a portion.
    ///
    /// # Errors
    /// What the keys say.
    pub(super) fn run(&self, portion: Portion) -> Result<Slice, Refusal> {
        let Portion { rows, bytes, next_byte, next_row, plan, leaves } = portion;
        let ring = self.room.ring()?;
        let mut parser = self.parser(&plan);
        let mut leaves = leaves.into_iter();
        let mut ready = Vec::with_capacity(rows.len());
        for raw in rows {
            let parsed = match raw {
                Raw::Row(row) => parser.parse(row),
                Raw::Refused(refused) => Err(refused),
            };
            ready.push(match parsed {
                Err(refused) => Ready::Refused(refused),
                Ok(row) => {
                    let leaf = leaves.next().ok_or(Fault::Internal("leaf"))?;
                    Ready::Row(Box::new(self.ready(&ring, row, leaf)?))
                }
            });
        }
        self.parsers().push((Arc::clone(&plan), parser));
        Ok(Slice { rows: ready, bytes, next_byte, next_row, plan })
    }

    fn parsers(&self) -> std::sync::MutexGuard<'_, Vec<(Arc<Plan>, RowParser)>> {
        self.parsers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn parser(&self, plan: &Arc<Plan>) -> RowParser {
        let idle = self.parsers().pop();
        match idle {
            Some((known, parser)) if Arc::ptr_eq(&known, plan) => parser,
            Some((_, mut parser)) => {
                parser.follow(Arc::clone(plan));
                parser
            }
            None => RowParser::new(Arc::clone(plan), self.rules.clone(), self.region.as_deref()),
        }
    }

    fn ready(&self, ring: &Keyring, row: ParsedRow, leaf: u32) -> Result<ReadyRow, Refusal> {
        let at = LeafAddress { dataset: self.dataset.no, tree: self.dataset.tree, leaf };
        let id = LeadId::make(self.clock.as_ref(), self.entropy.as_ref())?;
        let tags = self.tags(ring, at, &row.terms)?;
        let lead = NewLead {
            id,
            at,
            labels: self.labels(row.labels),
            tags,
            batch: Some(self.batch),
            row_no: Some(row.number),
            created: self.clock.now(),
            parts: self.parts(ring, at, id, &row.fields)?,
        };
        let terms = row.terms.iter().map(|t| (t.kind, t.normalised.expose().as_str()));
        Ok(ReadyRow {
            number: row.number,
            keys: self.keys(ring, &row.terms)?,
            suppression: suppression::tags_of(ring, &row.fields, terms),
            fields: if self.keeps_fields { row.fields } else { Fields::new() },
            lead,
        })
    }

    /// Seals a new lead of this import again, with other values: a later row of the file was merged into it.
    ///
    /// # Errors
    /// What the keys say; [`Fault::TooLarge`].
    pub(super) fn seal_again(
        &self,
        lead: &mut NewLead,
        plan: &Plan,
        fields: &Fields,
    ) -> Result<(), Refusal> {
        let ring = self.room.ring()?;
        let minor = lead.labels.has(LabelFlag::Minor);
        lead.labels = self.labels(super::super::row::labels(fields, minor));
        lead.tags = self.tags(&ring, lead.at, &self.terms(plan, fields))?;
        lead.parts = self.parts(&ring, lead.at, lead.id, fields)?;
        Ok(())
    }

    /// What a lead with these values is found by.
    pub(super) fn terms(&self, plan: &Plan, fields: &Fields) -> Vec<Term> {
        terms::of_fields(plan, fields, &self.rules.searchable, self.region.as_deref())
    }

    fn labels(&self, own: Labels) -> Labels {
        own.with_regimes(self.dataset.origin.iter().copied())
            .with(LabelFlag::Quarantined, self.quarantined)
    }

    fn parts(
        &self,
        ring: &Keyring,
        at: LeafAddress,
        id: LeadId,
        fields: &Fields,
    ) -> Result<Vec<Part>, Refusal> {
        const FIRST: u32 = 1;
        let located = ring.locate(at)?;
        let sealer = located.sealer();
        let mut parts = Vec::with_capacity(2);
        let encoded = encode(fields, FieldNo::compartment).map_err(|_| Fault::TooLarge)?;
        for (compartment, plain) in encoded {
            let blob =
                sealer.seal(id, SCHEMA, compartment, FIRST, &plain, self.entropy.as_ref())?;
            parts.push(Part { compartment, schema: SCHEMA, revision: FIRST, blob });
        }
        Ok(parts)
    }

    /// The tags of a lead. Where the address is not what duplicates go by, and in quarantine, the
    /// row's own leaf makes it unique.
    pub(super) fn tags(
        &self,
        ring: &Keyring,
        at: LeafAddress,
        terms: &[Term],
    ) -> Result<LeadTags, Refusal> {
        let unique = self.kinds.contains(&TagKind::EMAIL) && !self.quarantined;
        let mut tags = LeadTags {
            index_epoch: ring.index_epoch(at.dataset),
            dup_no: if unique { 0 } else { at.leaf.saturating_add(1) },
            ..LeadTags::default()
        };
        for term in terms {
            let value = term.normalised.expose().as_bytes();
            let tag = ring.tag(at.dataset, term.kind, value)?.0;
            let home = match (term.place, term.kind) {
                (Place::Row, TagKind::EMAIL) => &mut tags.email,
                (Place::Row, TagKind::PHONE) => &mut tags.phone,
                (Place::Row, TagKind::DOMAIN) => &mut tags.domain,
                _ => {
                    tags.more.push((term.kind, tag));
                    continue;
                }
            };
            *home = Some(tag);
        }
        Ok(tags)
    }

    /// The keys of a row under every tag key that is in use: while they rotate, leads carry either.
    fn keys(&self, ring: &Keyring, terms: &[Term]) -> Result<Vec<Key>, Refusal> {
        let epochs = ring.index_epochs(self.dataset.no);
        let mut keys = Vec::new();
        for kind in &self.kinds {
            for term in terms.iter().filter(|term| term.kind == *kind) {
                let value = term.normalised.expose().as_bytes();
                for epoch in &epochs {
                    keys.push((*kind, ring.tag_at(self.dataset.no, *epoch, *kind, value)?.0));
                }
            }
        }
        Ok(keys)
    }
}
