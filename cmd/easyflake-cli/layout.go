package main

// layoutCmd is a family of commands about layouts.
type layoutCmd struct {
	Show  layoutShowCmd  `cmd:"" default:"withargs" help:"Show one layout. The word 'show' may be left out."`
	List  layoutListCmd  `cmd:"" help:"List the layouts that have a name."`
	Check layoutCheckCmd `cmd:"" help:"Say whether a new layout can take over from an old one."`
}

// Help is printed below the usage.
func (*layoutCmd) Help() string {
	return `
A layout says which bits of an ID are the time, the node and the sequence. It is given by name, or as text: any of the keys epoch, unit, time, node and sequence, with EasyFlake's defaults for those left out. Where sequence is given before node, it also stands before it in the ID.

Examples:

    easyflake-cli layout                              the default
    easyflake-cli layout discord
    easyflake-cli layout epoch=2025-01-01T00:00:00Z,unit=10ms,sequence=8,node=16
    easyflake-cli layout list
    easyflake-cli layout check sonyflake easyflake --at 2030-01-01
`
}
