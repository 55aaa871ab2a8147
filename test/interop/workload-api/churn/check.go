package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/bundle/jwtbundle"
	"github.com/spiffe/go-spiffe/v2/bundle/x509bundle"
	"github.com/spiffe/go-spiffe/v2/proto/spiffe/workload"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"github.com/spiffe/go-spiffe/v2/svid/jwtsvid"
	"github.com/spiffe/go-spiffe/v2/svid/x509svid"
)

// One that ends while it is on its way to us was good when it was sent.
const onTheWay = 2 * time.Second

// checkX509 verifies that each key is its certificate's, that each certificate is of the ID that it is said to be, and
// that each chain leads to the bundle beside it. The fault is the first there is.
func checkX509(answer *workload.X509SVIDResponse) (found []held, fault string) {
	note := func(id string, err error) {
		if err != nil && fault == "" {
			fault = fmt.Sprintf("%s: %v", id, err)
		}
	}
	if len(answer.Svids) == 0 {
		return nil, "an answer without an X.509-SVID"
	}
	for _, told := range answer.Svids {
		entry := held{ID: told.SpiffeId}
		svid, err := x509svid.ParseRaw(told.X509Svid, told.X509SvidKey)
		note(told.SpiffeId, err)
		if err == nil {
			leaf := svid.Certificates[0]
			entry.ExpiresAt = leaf.NotAfter.UnixMilli()
			if svid.ID.String() != told.SpiffeId {
				note(told.SpiffeId, fmt.Errorf("its certificate is of %s", svid.ID))
			}
			bundle, err := x509bundle.ParseRaw(svid.ID.TrustDomain(), told.Bundle)
			note(told.SpiffeId, err)
			if err == nil {
				_, _, err = x509svid.Verify(svid.Certificates, bundle, x509svid.WithTime(sentAt(leaf.NotAfter, time.Now())))
				note(told.SpiffeId, err)
			}
		}
		found = append(found, entry)
	}
	return found, fault
}

// checkJWT verifies each token by the bundles, which are newer than it.
func checkJWT(answer *workload.JWTSVIDResponse, bundles *workload.JWTBundlesResponse, at time.Time) (found []held, fault string) {
	note := func(id string, err error) {
		if err != nil && fault == "" {
			fault = fmt.Sprintf("%s: %v", id, err)
		}
	}
	set := jwtbundle.NewSet()
	for name, document := range bundles.Bundles {
		trustDomain, err := spiffeid.TrustDomainFromString(name)
		note(name, err)
		bundle, err := jwtbundle.Parse(trustDomain, document)
		note(name, err)
		if err == nil {
			set.Add(bundle)
		}
	}
	for _, told := range answer.Svids {
		entry := held{ID: told.SpiffeId}
		svid, err := jwtsvid.ParseAndValidate(told.Svid, set, []string{audience})
		switch {
		case err == nil && svid.ID.String() != told.SpiffeId:
			err = fmt.Errorf("its token is of %s", svid.ID)
		case err != nil && strings.Contains(err.Error(), "token has expired"):
			if unverified, parseErr := jwtsvid.ParseInsecure(told.Svid, []string{audience}); parseErr == nil && at.Before(unverified.Expiry.Add(onTheWay)) {
				err = nil
			}
		}
		note(told.SpiffeId, err)
		if svid != nil {
			entry.ExpiresAt = svid.Expiry.UnixMilli()
		}
		found = append(found, entry)
	}
	return found, fault
}

func sentAt(notAfter, now time.Time) time.Time {
	if late := now.Sub(notAfter); late > 0 && late < onTheWay {
		return notAfter
	}
	return now
}
