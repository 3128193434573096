package grpcpool

import "strings"

// trouble is why a server was not reached. gRPC has no more than a text of that, made of
// those of the operating system and of package tls; what it is made from here is for
// whoever has to do something about it.
type trouble struct {
	text string // gRPC's
	tls  bool   // TLS is spoken
	unix bool   // to a socket
}

// explain says what to do, and what was seen; false where it does not know.
func (t trouble) explain() (string, bool) {
	if !t.connecting() && !t.connected() {
		return "", false // a server's own words
	}
	for _, known := range troubles() {
		if (known.when == nil || known.when(t)) && t.shows(known.signs) {
			return known.advice + " (" + t.cause() + ")", true
		}
	}
	return t.cause(), true
}

func (t trouble) connecting() bool {
	return strings.HasPrefix(t.text, "connection error: ") || strings.HasPrefix(t.text, "name resolver error: ")
}

// connected reports whether the trouble came later. A certificate is refused by then.
func (t trouble) connected() bool {
	return !t.connecting() && (strings.HasPrefix(t.text, "error reading from server: ") || t.shows(signsOfAnEnd()))
}

func (t trouble) shows(signs []string) bool {
	for _, sign := range signs {
		if strings.Contains(t.text, sign) {
			return true
		}
	}
	return false
}

// cause returns what was seen, without gRPC's accounts of where it was.
func (t trouble) cause() string {
	text := t.text
	if _, inner, ok := strings.Cut(text, `desc = "`); ok {
		text = strings.ReplaceAll(strings.TrimSuffix(inner, `"`), `\"`, `"`)
	}
	for _, place := range []string{
		"transport: Error while dialing: ", "transport: authentication handshake failed: ", "transport: ",
		"error reading server preface: ", "error reading from server: ", "name resolver error: ", "tls: failed to verify certificate: ",
	} {
		text = strings.TrimPrefix(text, place)
	}
	return text
}

// known is trouble that is told by signs in its text. The first that fits counts.
type known struct {
	signs  []string
	when   func(trouble) bool // nil: always
	advice string
}

func troubles() []known {
	speaksTLS := func(t trouble) bool { return t.tls }
	socket := func(t trouble) bool { return t.unix }
	return []known{
		{
			signs:  []string{"certificate signed by unknown authority", "certificate is not trusted", "not standards compliant"},
			advice: "its certificate is of an authority that is not trusted here: name the right one (--tls-ca)",
		}, {
			signs:  []string{"certificate is valid for", "certificate is not valid for any names", "doesn't contain any IP SANs", "x509: certificate relies on legacy Common Name"},
			advice: "its certificate is for another name: dial a name that it is for, or say which one to expect (--tls-server-name)",
		}, {
			signs:  []string{"certificate has expired or is not yet valid"},
			advice: "its certificate is not valid now: replace it, or set this machine's clock right",
		}, {
			signs:  []string{"first record does not look like a TLS handshake"},
			advice: "it does not speak TLS: check the port, and give the server certificates or, where nobody can listen in, leave TLS out here (--insecure)",
		}, {
			signs:  []string{"tls: certificate required"},
			advice: "it wants to see a certificate: show one (--tls-cert, --tls-key)",
		}, {
			signs:  []string{"protocol version not supported"},
			advice: "it does not speak TLS 1.3, as pool servers do: check the port",
		}, {
			signs:  []string{"remote error: tls: "},
			advice: "it refuses this client's certificate: its log says why",
		}, {
			signs:  []string{"http2: frame too large", "missing selected ALPN property"},
			when:   speaksTLS,
			advice: "what answers there is no pool server: check the port",
		}, {
			signs:  []string{"http2: frame too large"},
			advice: "what answers there is no pool server, or wants TLS: check the port, or speak it (--tls-ca or --tls)",
		}, {
			signs:  signsOfAnEnd(),
			when:   speaksTLS,
			advice: "it broke the connection off: its log says whether it refused this client's certificate, or had too many connections",
		}, {
			signs:  signsOfAnEnd(),
			when:   trouble.connected,
			advice: "the connection broke off: the server may be starting anew, so try again",
		}, {
			signs:  signsOfAnEnd(),
			advice: "it broke the connection off, as one does that wants TLS: speak it (--tls-ca or --tls), or look into its log",
		}, {
			signs:  []string{"no such host", "produced zero addresses", "no children to pick from"},
			advice: "that name has no address: check it, and this machine's DNS",
		}, {
			signs:  []string{"no such file or directory", "cannot find the"},
			when:   socket,
			advice: "there is no such socket: start the server, or check the path",
		}, {
			signs:  []string{"refused"},
			advice: "nothing listens there: start the server, or check host and port",
		}, {
			signs:  []string{"permission denied"},
			advice: "this user may not connect: ask whoever runs the server",
		}, {
			signs:  []string{"no route to host", "network is unreachable", "host is unreachable", "host is down", "i/o timeout", "timed out"},
			advice: "it cannot be reached from here: check the address, the network and firewalls",
		},
	}
}

// signsOfAnEnd are those of a server that has closed the connection.
func signsOfAnEnd() []string {
	return []string{"broken pipe", "reset by peer", "EOF", "forcibly closed"}
}
