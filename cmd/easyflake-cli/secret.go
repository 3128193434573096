package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/easyflake/easyflake/pool/grpcpool/access"
)

// secretCmd makes a secret.
type secretCmd struct {
	Name string    `arg:"" help:"Name of the identity that the secret is of, as in the server's configuration."`
	File fileValue `arg:"" help:"File to write the secret to, which must not exist. It goes to the client, as --secret-file."`
}

// Help is printed below the usage.
func (*secretCmd) Help() string {
	return `
Draws a secret by which a pool server knows a client, writes it to a file that only you can read, and prints the line for the server's file of tokens. The server keeps no more than a hash: who reads that file cannot use it.

An identity may have several, so that one can be replaced by another without a break.

Examples:

    easyflake-cli secret billing billing.secret >> tokens
    easyflake-cli next --pool grpc://pool.example.com --secret-file billing.secret
`
}

// Run makes the secret.
func (c *secretCmd) Run(w *world) error {
	if len(strings.Fields(c.Name)) != 1 {
		return wrongf("name %q: must be one word", c.Name)
	}
	secret, hash := access.NewSecret()
	line := c.Name + " " + hash + "\n"
	if _, wrong := access.ParseTokens([]byte(line), ""); len(wrong) > 0 {
		return wrongf("name %q: %s", c.Name, wrong[0].Reason)
	}
	file, err := os.OpenFile(string(c.File), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already: choose another file, or remove it if nobody uses its secret any more", c.File)
	}
	if err != nil {
		return fmt.Errorf("writing the secret: %w", err)
	}
	_, err = file.WriteString(secret + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing the secret: %w", err), os.Remove(string(c.File)))
	}
	return w.print(line)
}
