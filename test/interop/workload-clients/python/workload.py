"""A workload that uses py-spiffe: prints a line of JSON with all that it gets, then one for every X.509 update."""

import json
import sys
import threading

from cryptography.hazmat.primitives.serialization import Encoding
from spiffe import JwtSvid, WorkloadApiClient
from spiffe.errors import PySpiffeError


def show(value):
    print(json.dumps(value), flush=True)


def is_refused(client, token):
    try:
        client.validate_jwt_svid(token, audience="somebody-else")
        return False
    except PySpiffeError:
        return True


def on_update(context):
    show({"certificate": context.default_svid.leaf.public_bytes(Encoding.DER).hex()})


def on_error(error):
    show({"error": type(error).__name__})


def main(audience):
    with WorkloadApiClient() as client:
        context = client.fetch_x509_context()
        for svid in context.x509_svids:
            bundle = context.x509_bundle_set.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
            (root,) = bundle.x509_authorities
            svid.cert_chain[-1].verify_directly_issued_by(root)
        jwt_bundles = client.fetch_jwt_bundles()
        authorities = {}
        for bundle in client.fetch_x509_bundles().bundles:
            jwt_bundle = jwt_bundles.get_bundle_for_trust_domain(bundle.trust_domain)
            keys = 0 if jwt_bundle is None else len(jwt_bundle.jwt_authorities)
            authorities[bundle.trust_domain.name] = [len(bundle.x509_authorities), keys]
        svid = client.fetch_jwt_svid(audience={audience})
        own_bundle = jwt_bundles.get_bundle_for_trust_domain(svid.spiffe_id.trust_domain)
        show(
            {
                "identities": [{"id": str(svid.spiffe_id)} for svid in context.x509_svids],
                "authorities": authorities,
                "agent": str(client.validate_jwt_svid(svid.token, audience=audience).spiffe_id),
                "self": str(JwtSvid.parse_and_validate(svid.token, own_bundle, {audience}).spiffe_id),
                "isRefused": is_refused(client, svid.token),
            }
        )
        client.stream_x509_contexts(on_update, on_error)
        threading.Event().wait()


main(sys.argv[1])
