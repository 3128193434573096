// Package certs keeps certificates that can be replaced while they are in use:
// what a TLS 1.3 server or client shows, and whom it trusts, read from PEM files.
//
// A [Reloader] holds the last good material. [Reloader.Reload] reads all files
// and takes them together or not at all: a new certificate with an old key, a
// file that is half written or a certificate that is over changes nothing. New
// connections use the new material; those that are open live on with the old.
// So bound the age of connections where that matters.
//
// # Who is trusted
//
// A server asks for client certificates if it is given a CA, and takes no
// connection without one if [RequireClient] is given. A client trusts the CA
// alone, or the system's where it is given none, and checks the server's name.
//
// # No resumption
//
// Sessions are not resumed. A ticket would let a client in on the word of an
// earlier handshake: with a certificate that is over by now, or of a CA that is
// trusted no more. Connections of gRPC are few and long; a full handshake for each
// costs less than that doubt.
//
// # Private keys
//
// A private key that its group or others can read is refused ([KeyModeError]),
// but not on Windows, where modes say nothing about it. A link may lead to it: the
// mode of the file itself counts. Kubernetes gives a secret's files to a group when
// a pod has an fsGroup, with mode 0440 or 0640; [AllowGroupKey] is for that.
package certs
