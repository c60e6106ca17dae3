//! The files of a package beside its payload: bag, manifests, signature, proof.

use leadvault_ledger::proof::TlogProof;

use super::bag::{BAGIT, BagInfo, PAYLOAD, manifest};
use super::package::Packer;
use crate::cell::Cell;
use crate::error::Fault;

/// Writes them, the signature last.
///
/// # Errors
/// What kept them from being written.
pub(crate) async fn write(
    cell: &Cell,
    packer: &mut Packer,
    info: &BagInfo,
    proof: &TlogProof,
    vkey: String,
) -> Result<(), Fault> {
    let payload = manifest(packer.members(), |path| path.starts_with(PAYLOAD));
    let info = info.text(packer.members());
    packer.file("bagit.txt", BAGIT.as_bytes().to_vec()).await?;
    packer.file("bag-info.txt", info.into_bytes()).await?;
    packer.file("manifest-sha256.txt", payload.into_bytes()).await?;
    packer.file("access.tlog-proof", proof.to_string().into_bytes()).await?;
    packer.file("log.vkey", vkey.into_bytes()).await?;
    let tags = manifest(packer.members(), |path| !path.starts_with(PAYLOAD));
    let signature = cell.parts().log_keys.sign_file(tags.as_bytes(), "tagmanifest-sha256.txt");
    packer.file("tagmanifest-sha256.txt", tags.into_bytes()).await?;
    packer.file("tagmanifest-sha256.txt.minisig", signature.into_bytes()).await
}
