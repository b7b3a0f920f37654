package main

import (
	"context"

	"pgguard/proxy/config"
	"pgguard/proxy/console"
)

// beside runs f in a goroutine, which ends with what is returned.
func beside(f func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f(ctx) }() // ends with stop
	return func() { cancel(); <-done }
}

// settingsOf are the keys of a file, each with its default; of a list's elements there is none.
func settingsOf(f *config.File) []console.Setting {
	defaults := map[string]string{}
	for _, k := range config.Default().Settings() {
		defaults[k.Key] = k.Value
	}
	var list []console.Setting
	for _, k := range f.Settings() {
		list = append(list, console.Setting{Key: k.Key, Value: k.Value, Default: defaults[k.Key]})
	}
	return list
}
