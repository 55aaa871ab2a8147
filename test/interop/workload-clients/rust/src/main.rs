//! A workload that uses the crate `spiffe`: prints a line of JSON with all that it gets, then one for every X.509 update.

use futures_util::StreamExt;
use spiffe::{WorkloadApiClient, WorkloadApiError};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let audience = std::env::args().nth(1).ok_or("usage: workload <audience>")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(run(&audience))?)
}

async fn run(audience: &str) -> Result<(), WorkloadApiError> {
    let client = WorkloadApiClient::connect_env().await?;
    let context = client.fetch_x509_context().await?;
    let identities: Vec<String> = context
        .svids()
        .iter()
        .map(|svid| format!(r#"{{"id":"{}","hint":"{}"}}"#, svid.spiffe_id(), svid.hint().unwrap_or("")))
        .collect();
    let jwt_bundles = client.fetch_jwt_bundles().await?;
    let authorities: Vec<String> = client
        .fetch_x509_bundles()
        .await?
        .iter()
        .map(|(trust_domain, bundle)| {
            let keys = jwt_bundles.get(trust_domain).map_or(0, |found| found.jwt_authorities().count());
            format!(r#""{}":[{},{}]"#, trust_domain, bundle.authorities().len(), keys)
        })
        .collect();
    let token = client.fetch_jwt_token([audience], None).await?;
    let by_agent = client.validate_jwt_token(audience, &token).await?;
    let is_refused = client.validate_jwt_token("somebody-else", &token).await.is_err();
    println!(
        r#"{{"identities":[{}],"authorities":{{{}}},"agent":"{}","isRefused":{}}}"#,
        identities.join(","),
        authorities.join(","),
        by_agent.spiffe_id(),
        is_refused
    );
    let mut updates = client.stream_x509_svids().await?;
    while let Some(update) = updates.next().await {
        let bytes = update?.leaf().as_bytes().to_vec();
        let certificate: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        println!(r#"{{"certificate":"{certificate}"}}"#);
    }
    Ok(())
}
