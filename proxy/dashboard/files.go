package dashboard

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
)

//go:embed page
var files embed.FS

// policy has a browser load nothing but what is here, run nothing that stands in the page itself, and send nothing elsewhere.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// types are the files by what they end in.
var types = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

// Files are the paths of the files of the page, and what each is served by. "/" is the page. They are the same for everybody, and say nothing about
// the guard that serves them.
func Files() map[string]http.Handler {
	out := map[string]http.Handler{}
	list, err := fs.ReadDir(files, "page")
	if err != nil {
		panic("dashboard: the files of the page are not in the program: " + err.Error())
	}
	for _, f := range list {
		name := f.Name()
		body, err := fs.ReadFile(files, "page/"+name)
		if err != nil {
			panic("dashboard: " + name + " is not in the program: " + err.Error())
		}
		where := "/" + name
		if name == "index.html" {
			where = "/"
		}
		out[where] = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", types[path.Ext(name)])
			w.Header().Set("Content-Security-Policy", policy)
			w.Header().Set("Cache-Control", "no-cache")
			_, _ = w.Write(body) // who asked may have gone
		})
	}
	return out
}
