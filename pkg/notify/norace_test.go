//go:build !race

package notify_test

const alertsByDefault = 2000
