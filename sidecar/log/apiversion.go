package log

import (
	"encoding/json"
	"fmt"
)

// apiVersion is a version of three numbers, which is what nodes send first on every connection.
type apiVersion [3]uint32

// parseAPIVersion reads a JSON string such as "1.5.3".
func parseAPIVersion(body []byte) (v apiVersion, err error) {
	var text string
	if err := json.Unmarshal(body, &text); err != nil {
		return v, fmt.Errorf("API version %.40q: %w", body, err)
	}
	var rest string
	if n, _ := fmt.Sscanf(text+" ", "%d.%d.%d%s", &v[0], &v[1], &v[2], &rest); n != 3 {
		return v, fmt.Errorf("API version %.40q is not of the form 1.2.3", text)
	}
	return v, nil
}

func (v apiVersion) less(than apiVersion) bool {
	for i := range v {
		if v[i] != than[i] {
			return v[i] < than[i]
		}
	}
	return false
}

func (v apiVersion) String() string { return fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]) }
