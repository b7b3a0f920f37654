package upstream

import "fmt"

// unfitError is why a server that lets the guard in is not what target_session_attrs asks for.
type unfitError struct{ is, target string }

func (e *unfitError) Error() string {
	return e.is + ", and target_session_attrs=" + e.target + " asks for another"
}

// wants are the kinds of server that a login looks for, one after the other. Who does not choose goes by what can be said of the host, not of
// his session: a user may have sessions that only read at a primary.
func (d *Door) wants(h *Handshake) []string {
	target := d.Upstream.Session
	switch {
	case target == "prefer-standby" && (h.Chooses || d.Current() == (At{})):
		return []string{"standby", "any"}
	case h.Chooses || target == "primary" || target == "standby":
		return []string{target}
	case target == "read-write":
		return []string{"primary"}
	}
	return []string{"any"}
}

// fit is why the server is not of a kind. Servers from 14 on report what is asked here; others are asked by who chooses.
func (h *Handshake) fit(kind string) error {
	standby, readOnly := h.setting("in_hot_standby"), h.setting("default_transaction_read_only")
	switch kind {
	case "primary", "standby":
		if standby == "" && h.Chooses {
			answer, err := h.put("SELECT pg_catalog.pg_is_in_recovery()")
			if err != nil {
				return err
			}
			standby = map[string]string{"t": "on", "f": "off"}[answer]
		}
		if standby == "on" && kind == "primary" {
			return &unfitError{"server is a standby", kind}
		}
		if standby == "off" && kind == "standby" {
			return &unfitError{"server is no standby", kind}
		}
	case "read-write", "read-only":
		if standby == "" || readOnly == "" {
			answer, err := h.put("SHOW transaction_read_only")
			if err != nil {
				return err
			}
			standby, readOnly = answer, answer
		}
		only := standby == "on" || readOnly == "on"
		if only && kind == "read-write" {
			return &unfitError{"server takes no writes", kind}
		}
		if !only && kind == "read-only" {
			return &unfitError{"server takes writes", kind}
		}
	}
	return nil
}

// setting is what the server has reported of a setting; empty: nothing.
func (h *Handshake) setting(name string) string {
	for _, r := range h.Reported {
		if r.Name == name {
			return r.Value
		}
	}
	return ""
}

// put puts a question to the server that has let the guard in, and returns the first column of the first row.
func (h *Handshake) put(question string) (string, error) {
	own, answer := h.Question, h.Answer
	h.Question, h.Answer = question, ""
	err := h.ask()
	said := h.Answer
	h.Question, h.Answer = own, answer
	if err == nil && said == "" {
		err = fmt.Errorf("server does not answer %q", question)
	}
	return said, err
}
