//! Randomness as a parameter.

/// A source of uniform random bytes.
///
/// The product's only implementation is `leadvault_crypto::SystemEntropy`; tests may pass a seeded one.
pub trait Entropy: Send + Sync + std::fmt::Debug {
    /// Fills `bytes` with uniform random bytes.
    ///
    /// # Errors
    /// [`EntropyFailed`] when the system has none to give. Nothing may be sealed then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyFailed>;
}

/// The system's random number generator gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct EntropyFailed;
