//go:build pg && !race

package proxy

const racing = false
