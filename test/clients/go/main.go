// Command clients runs the AWS SDK for Go v2 against the proxy, as it comes out of the environment: endpoints from
// AWS_ENDPOINT_URL_*, the key from AWS_BEARER_TOKEN_BEDROCK or from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. It tells
// the runner each check's outcome, one JSON object a line. The cases are the same in every language.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcore"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime"
	agenttypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentruntime/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime"
	"github.com/aws/aws-sdk-go-v2/service/bedrockruntime/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/auth/bearer"
)

const (
	model            = "amazon.nova-lite-v1:0"
	claude           = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
	claudeArn        = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/" + claude
	throttled        = "offline.throttle-v1:0"
	unknown          = "no-such-model"
	runtimeArn       = "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/echo-a1b2c3d4e5"
	prompt           = "Grüße, 世界"
	wrongKey         = "sk-wrongwrongwrongwrongwrongwrongwrongwrongwrongwrong"
	unknownMessage   = "The provided model identifier is invalid."
	throttledMessage = "Too many requests, please wait."
)

var (
	ctx      = context.Background()
	settings aws.Config
	client   *bedrockruntime.Client
)

func main() {
	loaded, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	settings = loaded
	client = bedrockruntime.NewFromConfig(settings)
	tell(map[string]any{"version": version()})
	checks := map[string]func() error{
		"call": call, "stream": stream, "error": typedError, "throttle": throttle, "arn": arn, "agents": agents,
	}
	for _, name := range strings.Split(os.Getenv("CHECKS"), ",") {
		if err := checks[name](); err != nil {
			tell(map[string]any{"check": name, "ok": false, "detail": err.Error()})
		} else {
			tell(map[string]any{"check": name, "ok": true})
		}
	}
}

func call() error {
	answer, err := converse(client, model)
	if err != nil {
		return err
	}
	if err := expect(answer, answerOf(model)); err != nil {
		return err
	}
	body, _ := json.Marshal(claudeBody())
	invoked, err := client.InvokeModel(ctx, &bedrockruntime.InvokeModelInput{ModelId: aws.String(claude), Body: body})
	if err != nil {
		return err
	}
	var message struct{ Content []struct{ Text string } }
	if err := json.Unmarshal(invoked.Body, &message); err != nil || len(message.Content) == 0 {
		return fmt.Errorf("not a message: %s", invoked.Body)
	}
	if err := expect(message.Content[0].Text, answerOf(claude)); err != nil {
		return err
	}
	listed, err := bedrock.NewFromConfig(settings).ListFoundationModels(ctx,
		&bedrock.ListFoundationModelsInput{ByProvider: aws.String("Anthropic")})
	if err != nil {
		return err
	}
	for _, summary := range listed.ModelSummaries {
		if aws.ToString(summary.ModelId) == strings.TrimPrefix(claude, "us.") {
			return nil
		}
	}
	return errors.New("the model is not listed")
}

func stream() error {
	answer, err := client.ConverseStream(ctx, &bedrockruntime.ConverseStreamInput{
		ModelId: aws.String(model), Messages: messages(),
	})
	if err != nil {
		return err
	}
	events := answer.GetStream()
	defer events.Close()
	var text strings.Builder
	pieces := 0
	for event := range events.Events() {
		if block, ok := event.(*types.ConverseStreamOutputMemberContentBlockDelta); ok {
			if delta, ok := block.Value.Delta.(*types.ContentBlockDeltaMemberText); ok {
				text.WriteString(delta.Value)
				pieces++
			}
		}
	}
	if err := events.Err(); err != nil {
		return err
	}
	if pieces < 2 {
		return errors.New("the text came in one piece")
	}
	return expect(text.String(), answerOf(model))
}

func typedError() error {
	_, err := converse(client, unknown)
	var validation *types.ValidationException
	if !errors.As(err, &validation) {
		return fmt.Errorf("no ValidationException: %w", err)
	}
	if err := expect(validation.ErrorMessage(), unknownMessage); err != nil {
		return err
	}
	stranger := bedrockruntime.NewFromConfig(settings, func(options *bedrockruntime.Options) {
		options.Credentials = credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), wrongKey, "")
		options.BearerAuthTokenProvider = bearer.StaticTokenProvider{Token: bearer.Token{Value: wrongKey}}
	})
	_, err = converse(stranger, model)
	code, message := "SignatureDoesNotMatch", "The signature is not the one that this secret access key makes"
	if strings.HasPrefix(os.Getenv("MODE"), "bearer") {
		code, message = "UnrecognizedClientException", "The proxy does not know this key."
	}
	return expectRefusal(err, code, message)
}

func throttle() error {
	_, err := converse(client, throttled)
	var throttling *types.ThrottlingException
	if !errors.As(err, &throttling) {
		return fmt.Errorf("no ThrottlingException: %w", err)
	}
	return expect(throttling.ErrorMessage(), throttledMessage)
}

func arn() error {
	answer, err := converse(client, claudeArn)
	if err != nil {
		return err
	}
	return expect(answer, answerOf(claude))
}

func agents() error {
	agent := bedrockagentruntime.NewFromConfig(settings)
	answer, err := agent.InvokeAgent(ctx, &bedrockagentruntime.InvokeAgentInput{
		AgentId: aws.String("AGENT12345"), AgentAliasId: aws.String("ALIAS12345"), SessionId: aws.String("one"),
		InputText: aws.String(prompt),
	})
	if err != nil {
		return err
	}
	events := answer.GetStream()
	defer events.Close()
	var text strings.Builder
	for event := range events.Events() {
		if chunk, ok := event.(*agenttypes.ResponseStreamMemberChunk); ok {
			text.Write(chunk.Value.Bytes)
		}
	}
	if err := expect(text.String(), "Offline answer of the agent AGENT12345: you said: "+prompt); err != nil {
		return err
	}
	payload, _ := json.Marshal(map[string]string{"prompt": prompt})
	invoked, err := bedrockagentcore.NewFromConfig(settings).InvokeAgentRuntime(ctx,
		&bedrockagentcore.InvokeAgentRuntimeInput{AgentRuntimeArn: aws.String(runtimeArn), Payload: payload})
	if err != nil {
		return err
	}
	defer invoked.Response.Close()
	var echo struct{ Result string }
	body, err := io.ReadAll(invoked.Response)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(bytes.TrimSpace(body), &echo); err != nil {
		return err
	}
	return expect(echo.Result, "Offline answer of the runtime echo-a1b2c3d4e5: you said: "+prompt)
}

func converse(sender *bedrockruntime.Client, modelID string) (string, error) {
	answer, err := sender.Converse(ctx, &bedrockruntime.ConverseInput{
		ModelId: aws.String(modelID), Messages: messages(),
	})
	if err != nil {
		return "", err
	}
	message, ok := answer.Output.(*types.ConverseOutputMemberMessage)
	if !ok || len(message.Value.Content) == 0 {
		return "", errors.New("an answer without a message")
	}
	text, ok := message.Value.Content[0].(*types.ContentBlockMemberText)
	if !ok {
		return "", errors.New("a message without a text")
	}
	return text.Value, nil
}

func messages() []types.Message {
	content := []types.ContentBlock{&types.ContentBlockMemberText{Value: prompt}}
	return []types.Message{{Role: types.ConversationRoleUser, Content: content}}
}

func claudeBody() map[string]any {
	message := map[string]string{"role": "user", "content": prompt}
	return map[string]any{"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100, "messages": []any{message}}
}

func answerOf(modelID string) string {
	return fmt.Sprintf("Offline answer of %s: you said: %s", strings.TrimPrefix(modelID, "us."), prompt)
}

func expect(actual, expected string) error {
	if actual == expected {
		return nil
	}
	return fmt.Errorf("%q instead of %q", actual, expected)
}

func expectRefusal(err error, code, message string) error {
	var refused smithy.APIError
	if !errors.As(err, &refused) {
		return fmt.Errorf("no API error: %w", err)
	}
	if refused.ErrorCode() != code || !strings.Contains(refused.ErrorMessage(), message) {
		return fmt.Errorf("%s: %s", refused.ErrorCode(), refused.ErrorMessage())
	}
	return nil
}

func version() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == "github.com/aws/aws-sdk-go-v2/service/bedrockruntime" {
			return strings.TrimPrefix(module.Version, "v")
		}
	}
	return "?"
}

func tell(outcome map[string]any) {
	line, _ := json.Marshal(outcome)
	fmt.Println(string(line))
}
