package sim

import (
	"fmt"
	"io"
	"math"
	"reflect"
	"time"

	"pgguard/pool/limit"
)

// scaled returns the law with one constant multiplied.
func scaled(field int, by float64) Law {
	return AIMD("", func(t *limit.Tuning) {
		f := reflect.ValueOf(t).Elem().Field(field)
		switch v := f.Interface().(type) {
		case float64:
			f.SetFloat(v * by)
		case time.Duration:
			f.SetInt(int64(float64(v) * by))
		}
	})
}

// writeRobustness says what the worst and the median ratio become when one constant is halved or doubled.
func (r *Run) writeRobustness(w io.Writer) {
	all := r.scenarios(Stories())
	seeds := min(2, r.Seeds)
	measure := func(law Law) []float64 {
		out := make([]float64, len(all))
		r.each(all, func(i int, sc *Scenario) { out[i] = median(pick(r.Bests.Grades(sc, law, seeds), ratioOf)) })
		return out
	}
	base := measure(AIMD("", nil))
	fmt.Fprintf(w, "\n## Each constant halved and doubled: change of the ratio in points, median over scenarios and worst scenario\n\n| constant | default | half | double |\n|---|---|---|---|\n")
	t := limit.Defaults()
	for i := range reflect.TypeOf(t).NumField() {
		field := reflect.TypeOf(t).Field(i)
		if field.Type.Kind() == reflect.Bool {
			continue
		}
		fmt.Fprintf(w, "| %s | %v |", field.Name, reflect.ValueOf(t).Field(i).Interface())
		for _, by := range []float64{0.5, 2} {
			got := measure(scaled(i, by))
			var diff []float64
			worst, where := math.Inf(1), ""
			for k := range got {
				d := 100 * (got[k] - base[k])
				diff = append(diff, d)
				if d < worst {
					worst, where = d, all[k].Title()
				}
			}
			fmt.Fprintf(w, " %+.1f, %+.1f in %s |", median(diff), worst, where)
		}
		fmt.Fprintln(w)
	}
}
