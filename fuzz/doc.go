// Package fuzz throws arbitrary input at whatever EasyFlake reads: configurations,
// IDs in all their forms, stored records and files, and messages from the network.
// By the exported API alone it looks for input that makes anything panic, that is
// accepted though it must not be, or that lets a promise be broken. Nothing here
// depends on the time or on chance: an input that fails once always fails.
//
// How to run one target, and what to do with what it finds, stands in
// docs/CONTRIBUTING.md. There is nothing here to import.
package fuzz
