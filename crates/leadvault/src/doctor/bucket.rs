//! The bucket of sealed objects: whether it answers and takes the key. Nothing is written.

use leadvault_domain::TenantId;
use leadvault_store::ObjectName;

use crate::config::Config;
use crate::doctor::Report;
use crate::stores;

/// Asks the bucket for an object that nobody has.
pub(super) async fn look(config: &Config, report: &mut Report) {
    let Some(bucket) = &config.objects else { return };
    let at = || Some("objects".to_owned());
    match stores::bucket(bucket) {
        Err(_) => report.find(
            "bucket_refused",
            "endpoint or key do not fit; `leadvault serve` says which",
            at(),
        ),
        Ok(objects) => {
            let nobodys = objects.len(TenantId::from_bytes([0; 16]), ObjectName([0; 16])).await;
            if nobodys.is_err() {
                let says = "the bucket does not answer, or does not take the key";
                report.find("bucket_unreachable", says, at());
            }
        }
    }
}
