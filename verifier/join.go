// SPDX-License-Identifier: Apache-2.0

package verifier

// Join makes one verifier of several. It selects by the iss of the token, before
// anything else in it is believed; keys, algorithms, audiences, profile, clock and
// cache stay with each issuer (RFC 8725 §3.8). A token of an issuer that none of vs
// is for is [ErrIssuer] and causes no network access. One of vs can be of
// [NewTenants]: it is asked about issuers that are not configured. Refusals that
// concern no issuer go to the OnEvent of the first verifier. The error is of class
// [ErrConfig]: no verifier given, one of them nil or zero, two for one issuer, or two
// of NewTenants.
func Join(vs ...*Verifier) (*Verifier, error) {
	var f faults
	joined := &Verifier{issuers: map[string]*issuer{}}
	for i, v := range vs {
		if !v.made() {
			f.add("verifier %d was not made by verifier.New: call New and handle its error", i)
			continue
		}
		joined.add(&f, v)
		if i == 0 {
			joined.onEvent = v.onEvent
		}
	}
	if len(vs) == 0 {
		f.add("no verifier given: pass at least one")
	}
	if err := f.err(); err != nil {
		return nil, err
	}
	if len(joined.issuers) == 1 && joined.tenants == nil {
		for _, is := range joined.issuers {
			joined.only = is
		}
		return joined, nil
	}
	joined.hints = newHints(len(joined.issuers) + joined.tenants.places())
	return joined, nil
}

// add takes over the issuers of member.
func (v *Verifier) add(f *faults, member *Verifier) {
	for name, is := range member.issuers {
		if v.issuers[name] != nil {
			f.add("issuer %q is configured twice: keep one verifier for it", name)
		}
		v.issuers[name] = is
	}
	if member.tenants != nil {
		if v.tenants != nil {
			f.add("two verifiers are of NewTenants: let one Tenants accept the issuers of both")
		}
		v.tenants = member.tenants
	}
	v.maxBytes = max(v.maxBytes, member.maxBytes)
}
