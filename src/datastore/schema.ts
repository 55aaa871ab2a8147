/** Rows as they are stored. Times are Unix seconds, flags are 0 or 1. */
export interface DatastoreSchema {
  readonly registration_entry: {
    readonly id: string;
    /** Hash of parent ID, SPIFFE ID and selector set. */
    readonly identity_hash: string;
    readonly parent_id: string;
    readonly spiffe_id: string;
    readonly x509_svid_ttl_seconds: number;
    readonly jwt_svid_ttl_seconds: number;
    readonly admin: number;
    readonly downstream: number;
    readonly store_svid: number;
    readonly expires_at: number;
    readonly hint: string;
    readonly revision_number: number;
    readonly created_at: number;
    readonly jwt_svid_include_jti: number;
    readonly disable_x509_svid_prefetch: number;
  };
  readonly entry_selector: { readonly entry_id: string; readonly position: number } & SelectorColumns;
  readonly entry_dns_name: { readonly entry_id: string; readonly position: number; readonly dns_name: string };
  readonly entry_federates_with: {
    readonly entry_id: string;
    readonly position: number;
    readonly trust_domain: string;
  };
  readonly agent: {
    readonly spiffe_id: string;
    readonly attestation_type: string;
    readonly serial_number: string;
    readonly expires_at: number;
    readonly new_serial_number: string;
    readonly new_expires_at: number;
    readonly banned: number;
    readonly can_reattest: number;
    readonly agent_version: string;
    readonly last_seen_at: number;
  };
  readonly agent_selector: { readonly spiffe_id: string; readonly position: number } & SelectorColumns;
  readonly join_token: { readonly token_hash: string; readonly expires_at: number };
  readonly bundle: {
    readonly trust_domain: string;
    readonly refresh_hint_seconds: number;
    /** Decimal: up to 2^64 - 1. */
    readonly sequence_number: string;
  };
  readonly bundle_x509_authority: {
    readonly trust_domain: string;
    readonly position: number;
    readonly certificate: Uint8Array;
    readonly tainted: number;
  };
  readonly bundle_jwt_authority: {
    readonly trust_domain: string;
    readonly position: number;
    readonly key_id: string;
    readonly public_key: Uint8Array;
    readonly expires_at: number;
    readonly tainted: number;
  };
  /** `name` is a JWT authority's key ID, or the SHA-256 hash of an X.509 authority's certificate. */
  readonly revoked_authority: {
    readonly trust_domain: string;
    readonly kind: string;
    readonly name: string;
    /** 0: never. */
    readonly expires_at: number;
  };
  readonly ca_journal: {
    readonly name: string;
    readonly active_x509_authority_id: string;
    readonly data: Uint8Array;
    readonly version: number;
    readonly updated_at: number;
  };
  readonly federation_relationship: {
    readonly trust_domain: string;
    readonly bundle_endpoint_url: string;
    readonly bundle_endpoint_profile: string;
    /** Empty with the profile `https_web`. */
    readonly endpoint_spiffe_id: string;
  };
  /** Attempts to attest that are alike; `id` is a hash of what they have in common. */
  readonly attestation_attempt: {
    readonly id: string;
    readonly attestation_type: string;
    readonly address: string;
    readonly agent_id: string;
    readonly attested: number;
    readonly reason: string;
    readonly count: number;
    readonly first_at: number;
    readonly last_at: number;
  };
  /** What the evidence of agents came to, numbered for each agent; those that follow each other and are alike are one. */
  readonly agent_verdict: {
    readonly agent_id: string;
    readonly number: number;
    readonly verdict: string;
    readonly reason: string;
    /** Selector values, one a line. */
    readonly policies: string;
    readonly evidence_sha256: string;
    readonly count: number;
    readonly first_at: number;
    readonly last_at: number;
  };
  /** An entry that was made from files, and for which set of them. */
  readonly entry_set_member: { readonly entry_id: string; readonly set_name: string };
  /** One row a log, which its writers lock: sequences have no gaps and follow the order of commits. */
  readonly change_log: { readonly name: string; readonly last_sequence: number };
  readonly change_event: {
    readonly log: string;
    readonly sequence: number;
    readonly kind: string;
    readonly key: string;
    readonly created_at: number;
  };
}

interface SelectorColumns {
  readonly type: string;
  readonly value: string;
}
