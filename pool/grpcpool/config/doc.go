// Package config reads the configuration file of a pool server: which namespaces it
// has, and who may do what in them. testdata/server.yaml is an example with every
// key.
//
// The file is YAML, read strictly: a key that is unknown or given twice, a value of
// another kind, a second document, an anchor or an alias is an error. All that is
// wrong is found before anything is built, and reported together, each with file,
// line and key.
//
// The part on access is left out for a server that only its own machine can reach:
// then everybody may do everything. A part that is there and empty allows nobody
// anything.
package config
