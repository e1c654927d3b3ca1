// Package cli is the command line of Assay.
package cli
