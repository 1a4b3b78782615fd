// Greet whoever is named in the event.
package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-lambda-go/lambda"
)

type event struct {
	Name string `json:"name"`
}

type answer struct {
	Greeting string `json:"greeting"`
}

func greet(_ context.Context, event event) (answer, error) {
	if event.Name == "" {
		return answer{}, fmt.Errorf("nobody to greet")
	}
	return answer{"Hello " + event.Name}, nil
}

func main() {
	lambda.Start(greet)
}
