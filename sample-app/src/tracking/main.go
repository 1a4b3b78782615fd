// Track a parcel.
package main

import (
	"context"
	"fmt"

	"github.com/aws/aws-lambda-go/lambda"
)

type parcel struct {
	ID    string `json:"id"`
	Stops int    `json:"stops"`
}

type answer struct {
	Tracking string `json:"tracking"`
}

func track(_ context.Context, parcel parcel) (answer, error) {
	return answer{fmt.Sprintf("parcel %s, %d stops away", parcel.ID, parcel.Stops)}, nil
}

func main() {
	lambda.Start(track)
}
