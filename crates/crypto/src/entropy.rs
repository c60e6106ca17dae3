//! The product's only source of randomness.

use leadvault_domain::{Entropy, EntropyFailed};
use ring::rand::SecureRandom as _;

/// The operating system's generator, through ring.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(
        clippy::disallowed_types,
        reason = "this is the implementation others take as a parameter"
    )]
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyFailed> {
        ring::rand::SystemRandom::new().fill(bytes).map_err(|_| EntropyFailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        SystemEntropy.fill(&mut a).unwrap();
        SystemEntropy.fill(&mut b).unwrap();
        assert_ne!(a, b);
    }
}
