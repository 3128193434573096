package main

import _ "embed"

// larger is what the page says of machines that were not measured.
//
//go:embed larger.md
var larger string
