// Command faults tells what the AWS SDK for Go v2 makes of each fault: CASES, a list of id, mode and key pair, becomes
// one JSON object a line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
)

const (
	timeout = 3 * time.Second
	model   = "amazon.nova-lite-v1:0"
	answer  = "Offline answer of " + model + ": you said: Hello"
)

type testCase struct {
	ID          string `json:"id"`
	Mode        string `json:"mode"`
	Key         string `json:"key"`
	AccessKeyID string `json:"accessKeyId"`
}

func main() {
	var cases []testCase
	if err := json.Unmarshal([]byte(os.Getenv("CASES")), &cases); err != nil {
		panic(err)
	}
	atOnce, _ := strconv.Atoi(os.Getenv("AT_ONCE"))
	queue := make(chan testCase)
	var group sync.WaitGroup
	var printing sync.Mutex
	for range atOnce {
		group.Add(1)
		go func() {
			defer group.Done()
			for next := range queue {
				outcome := judge(next)
				line, _ := json.Marshal(map[string]string{"id": next.ID, "outcome": outcome})
				printing.Lock()
				fmt.Println(string(line))
				printing.Unlock()
			}
		}()
	}
	for _, next := range cases {
		queue <- next
	}
	close(queue)
	group.Wait()
}

func judge(next testCase) string {
	text, err := ask(next)
	if err == nil {
		if text == answer {
			return "complete"
		}
		if text != "" {
			return "part, no error"
		}
		return "nothing, no error"
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	var slow interface{ Timeout() bool }
	if errors.As(err, &slow) && slow.Timeout() {
		return "net.Error (timeout)"
	}
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", err), "*")
}

func ask(next testCase) (string, error) {
	client := bedrockruntime.New(bedrockruntime.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(os.Getenv("PROXY_URL")),
		Credentials:  credentials.NewStaticCredentialsProvider(next.AccessKeyID, next.Key, ""),
		HTTPClient:   awshttp.NewBuildableClient().WithTimeout(timeout),
	})
	ctx := context.Background()
	messages := []types.Message{{
		Role:    types.ConversationRoleUser,
		Content: []types.ContentBlock{&types.ContentBlockMemberText{Value: "Hello"}},
	}}
	if next.Mode == "call" {
		output, err := client.Converse(ctx, &bedrockruntime.ConverseInput{ModelId: aws.String(model), Messages: messages})
		if err != nil {
			return "", err
		}
		message, isMessage := output.Output.(*types.ConverseOutputMemberMessage)
		if !isMessage || len(message.Value.Content) == 0 {
			return "", nil
		}
		block, _ := message.Value.Content[0].(*types.ContentBlockMemberText)
		return block.Value, nil
	}
	input := &bedrockruntime.ConverseStreamInput{ModelId: aws.String(model), Messages: messages}
	output, err := client.ConverseStream(ctx, input)
	if err != nil {
		return "", err
	}
	stream := output.GetStream()
	defer stream.Close()
	text := ""
	for event := range stream.Events() {
		if delta, isDelta := event.(*types.ConverseStreamOutputMemberContentBlockDelta); isDelta {
			if piece, isText := delta.Value.Delta.(*types.ContentBlockDeltaMemberText); isText {
				text += piece.Value
			}
		}
	}
	return text, stream.Err()
}
