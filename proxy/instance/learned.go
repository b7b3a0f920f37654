package instance

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pgguard/pool/limit"
	"pgguard/proxy/sql"
)

// rememberEvery is how often what was learned is written: a guard that is killed loses so much of it.
const rememberEvery = time.Minute

// learnedVersion is the format of the file; another one is not read.
const learnedVersion = 1

// maxLearnedFile is more than such a file ever has: what is longer is something else.
const maxLearnedFile = 4 << 10

// learnedFile is what a guard tells its successor of one instance.
type learnedFile struct {
	Version  int       `json:"version"`
	Instance string    `json:"instance"`
	At       time.Time `json:"at"`
	// Limit is 0 if none was learned.
	Limit float64 `json:"limit,omitempty"`
	// Sequences are the databases in which a client has asked for the last value of a sequence: see Catalog.Currval.
	Sequences []string `json:"sequences,omitempty"`
}

// learnedPath is where it is, "" for nowhere.
func (in *Instance) learnedPath() string {
	dir := in.cfg().LearnedDir
	if dir == "" {
		return ""
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(in.Name())) // it never fails
	return filepath.Join(dir, fmt.Sprintf("learned-%016x.json", h.Sum64()))
}

// recall starts from what a predecessor has kept. A file that is missing, damaged or of something else is as
// none.
func (in *Instance) recall(now time.Time) {
	path := in.learnedPath()
	if path == "" {
		return
	}
	var f learnedFile
	body, err := readSmall(path)
	if err == nil {
		err = json.Unmarshal(body, &f)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return
	case err == nil && (f.Version != learnedVersion || f.Instance != in.Name()):
		err = errors.New("it is of another version or instance")
	}
	if err != nil {
		in.cfg().Log.Warn("what was learned before is not used", "upstream", in.Name(), "file", path, "error", err)
		return
	}
	if f.Limit != 0 {
		in.Pool.Resume(limit.Learned{At: f.At, Limit: f.Limit}, now)
	}
	for _, database := range f.Sequences {
		in.Catalog(database).NoteCurrval()
	}
}

// readSmall reads a file that is not long.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxLearnedFile {
		return nil, errors.New("it is no small file")
	}
	return os.ReadFile(path)
}

// asked are the databases in which somebody has asked for the last value of a sequence.
func (in *Instance) asked() (databases []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for name, c := range in.catalogs {
		if c.Currval() && len(databases) < maxAsked && len(name) <= sql.MaxName {
			databases = append(databases, name)
		}
	}
	slices.Sort(databases)
	return databases
}

// maxAsked bounds the databases that are kept: a file stays small.
const maxAsked = 32

// Yield leaves it to another process to keep what is learned from now on.
func (in *Instance) Yield() { in.yielded.Store(true) }

// remember writes what was learned, whole or not at all.
func (in *Instance) remember(now time.Time) {
	path := in.learnedPath()
	if path == "" || in.yielded.Load() {
		return
	}
	kept, ok := in.Pool.Learned(now)
	databases := in.asked()
	if !ok && len(databases) == 0 {
		return
	}
	if !ok {
		kept = limit.Learned{At: now}
	}
	body, err := json.Marshal(learnedFile{learnedVersion, in.Name(), kept.At, kept.Limit, databases})
	if err == nil {
		err = replaceFile(path, body)
	}
	if err != nil && !in.unkept {
		in.unkept = true
		in.cfg().Log.Warn("what was learned cannot be kept for a restart", "upstream", in.Name(), "file", path, "error", err)
	}
}

// replaceFile puts body in the place of what is at path, if anything.
func replaceFile(path string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
