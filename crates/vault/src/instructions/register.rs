//! The register of a tenant in memory: every version of every instruction, as decisions read it.

use std::collections::BTreeMap;

use leadvault_domain::{Instruction, InstructionId, InstructionStatus};

/// An instruction and its version.
pub(crate) type Version = (InstructionId, u32);
/// Leaf and revision of the seal that a text was read from.
pub(crate) type Seal = (u32, u32);

/// Versions, by instruction, ascending.
#[derive(Debug, Clone, Default)]
pub(crate) struct Register {
    instructions: Vec<Instruction>,
    beside: BTreeMap<Version, Beside>,
}

/// What is known of a version beside its text.
#[derive(Debug, Clone)]
struct Beside {
    seal: Seal,
    /// The first of two who approve, while the second is awaited.
    first_approver: Option<String>,
}

impl Register {
    /// Adds a version, after those of before.
    pub(crate) fn add(
        &mut self,
        instruction: Instruction,
        seal: Seal,
        first_approver: Option<String>,
    ) {
        self.beside.insert((instruction.id, instruction.version), Beside { seal, first_approver });
        self.instructions.push(instruction);
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Instruction] {
        &self.instructions
    }

    /// One version.
    pub(crate) fn find(&self, version: Version) -> Option<&Instruction> {
        self.instructions.get(self.place(version)?)
    }

    fn place(&self, version: Version) -> Option<usize> {
        self.instructions.binary_search_by_key(&version, |i| (i.id, i.version)).ok()
    }

    /// The versions of one instruction, ascending.
    pub(crate) fn versions(
        &self,
        id: InstructionId,
    ) -> impl DoubleEndedIterator<Item = &Instruction> {
        self.instructions.iter().filter(move |i| i.id == id)
    }

    /// Whether there is such an instruction.
    pub(crate) fn knows(&self, id: InstructionId) -> bool {
        self.versions(id).next().is_some()
    }

    /// Who approved a version that waits for a second person.
    pub(crate) fn first_approver(&self, version: Version) -> Option<&str> {
        self.beside.get(&version)?.first_approver.as_deref()
    }

    /// What was read from this very seal.
    pub(crate) fn opened(
        &self,
        version: Version,
        seal: Seal,
    ) -> Option<(Instruction, Option<String>)> {
        let beside = self.beside.get(&version).filter(|beside| beside.seal == seal)?;
        Some((self.find(version)?.clone(), beside.first_approver.clone()))
    }

    /// Gives a version another status.
    pub(crate) fn set_status(&mut self, version: Version, status: InstructionStatus) {
        let place = self.place(version);
        if let Some(known) = place.and_then(|place| self.instructions.get_mut(place)) {
            known.status = status;
        }
    }
}
