import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.auth.token.credentials.StaticTokenProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.sync.ResponseTransformer;
import software.amazon.awssdk.core.util.VersionInfo;
import software.amazon.awssdk.services.bedrock.BedrockClient;
import software.amazon.awssdk.services.bedrockagentcore.BedrockAgentCoreClient;
import software.amazon.awssdk.services.bedrockagentruntime.BedrockAgentRuntimeAsyncClient;
import software.amazon.awssdk.services.bedrockagentruntime.model.InvokeAgentResponseHandler;
import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeAsyncClient;
import software.amazon.awssdk.services.bedrockruntime.BedrockRuntimeClient;
import software.amazon.awssdk.services.bedrockruntime.auth.scheme.BedrockRuntimeAuthSchemeProvider;
import software.amazon.awssdk.services.bedrockruntime.model.ContentBlock;
import software.amazon.awssdk.services.bedrockruntime.model.ConversationRole;
import software.amazon.awssdk.services.bedrockruntime.model.ConverseStreamResponseHandler;
import software.amazon.awssdk.services.bedrockruntime.model.Message;
import software.amazon.awssdk.services.bedrockruntime.model.ThrottlingException;
import software.amazon.awssdk.services.bedrockruntime.model.ValidationException;

/**
 * The AWS SDK for Java against the proxy, as it comes out of the environment: endpoints from AWS_ENDPOINT_URL_*, the key
 * from AWS_BEARER_TOKEN_BEDROCK or from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Calls go through the synchronous
 * clients, streams through the asynchronous ones, which are the only ones that have them. Tells the runner each check's
 * outcome, one JSON object a line. The cases are the same in every language.
 */
final class Clients {
    private static final String MODEL = "amazon.nova-lite-v1:0";
    private static final String CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    private static final String CLAUDE_ARN = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/" + CLAUDE;
    private static final String THROTTLED = "offline.throttle-v1:0";
    private static final String UNKNOWN = "no-such-model";
    private static final String RUNTIME_ARN =
            "arn:aws:bedrock-agentcore:us-east-1:123456789012:runtime/echo-a1b2c3d4e5";
    private static final String PROMPT = "Grüße, 世界";
    private static final String WRONG_KEY = "sk-" + "wrong".repeat(10);
    private static final boolean IS_BEARER = System.getenv("MODE").startsWith("bearer");
    private static final BedrockRuntimeClient CLIENT = BedrockRuntimeClient.create();

    private interface Check {
        void run() throws Exception;
    }

    public static void main(String[] arguments) {
        tell("\"version\":" + quote(VersionInfo.SDK_VERSION));
        Map<String, Check> checks = new LinkedHashMap<>();
        checks.put("call", Clients::call);
        checks.put("stream", Clients::stream);
        checks.put("error", Clients::error);
        checks.put("throttle", Clients::throttle);
        checks.put("arn", Clients::arn);
        checks.put("agents", Clients::agents);
        for (String name : System.getenv("CHECKS").split(",")) {
            try {
                checks.get(name).run();
                tell("\"check\":" + quote(name) + ",\"ok\":true");
            } catch (Exception | AssertionError thrown) {
                String detail = thrown.getClass().getSimpleName() + ": " + thrown.getMessage();
                tell("\"check\":" + quote(name) + ",\"ok\":false,\"detail\":" + quote(detail));
            }
        }
        System.exit(0);
    }

    private static void call() {
        expect(converse(CLIENT, MODEL), answerOf(MODEL));
        String body = "{\"anthropic_version\":\"bedrock-2023-05-31\",\"max_tokens\":100,"
                + "\"messages\":[{\"role\":\"user\",\"content\":" + quote(PROMPT) + "}]}";
        String invoked = CLIENT.invokeModel(input -> input.modelId(CLAUDE).body(SdkBytes.fromUtf8String(body)))
                .body().asUtf8String();
        expectIn(answerOf(CLAUDE), invoked);
        boolean isListed = BedrockClient.create().listFoundationModels(input -> input.byProvider("Anthropic"))
                .modelSummaries().stream().anyMatch(model -> CLAUDE.endsWith(model.modelId()));
        expect(String.valueOf(isListed), "true");
    }

    private static void stream() throws Exception {
        List<String> pieces = new ArrayList<>();
        ConverseStreamResponseHandler.Visitor visitor = ConverseStreamResponseHandler.Visitor.builder()
                .onContentBlockDelta(event -> pieces.add(event.delta().text())).build();
        BedrockRuntimeAsyncClient.create()
                .converseStream(input -> input.modelId(MODEL).messages(message()),
                        ConverseStreamResponseHandler.builder().subscriber(visitor).build())
                .get(30, TimeUnit.SECONDS);
        expect(String.join("", pieces), answerOf(MODEL));
        expect(String.valueOf(pieces.size() > 1), "true");
    }

    private static void error() {
        AwsServiceException unknown = expectRefusal(() -> converse(CLIENT, UNKNOWN));
        expect(unknown.getClass().getSimpleName(), ValidationException.class.getSimpleName());
        expect(unknown.awsErrorDetails().errorMessage(), "The provided model identifier is invalid.");
        BedrockRuntimeClient stranger = IS_BEARER
                ? BedrockRuntimeClient.builder().tokenProvider(StaticTokenProvider.create(() -> WRONG_KEY))
                        .authSchemeProvider(BedrockRuntimeAuthSchemeProvider.defaultProvider(List.of("httpBearerAuth")))
                        .build()
                : BedrockRuntimeClient.builder().credentialsProvider(StaticCredentialsProvider.create(
                        AwsBasicCredentials.create(System.getenv("AWS_ACCESS_KEY_ID"), WRONG_KEY))).build();
        AwsServiceException refused = expectRefusal(() -> converse(stranger, MODEL));
        expect(refused.awsErrorDetails().errorCode(),
                IS_BEARER ? "UnrecognizedClientException" : "SignatureDoesNotMatch");
        expectIn(IS_BEARER ? "The proxy does not know this key."
                : "The signature is not the one that this secret access key makes",
                refused.awsErrorDetails().errorMessage());
    }

    private static void throttle() {
        AwsServiceException throttled = expectRefusal(() -> converse(CLIENT, THROTTLED));
        expect(throttled.getClass().getSimpleName(), ThrottlingException.class.getSimpleName());
        expect(throttled.awsErrorDetails().errorMessage(), "Too many requests, please wait.");
    }

    private static void arn() {
        expect(converse(CLIENT, CLAUDE_ARN), answerOf(CLAUDE));
    }

    private static void agents() throws Exception {
        StringBuilder text = new StringBuilder();
        InvokeAgentResponseHandler.Visitor visitor = InvokeAgentResponseHandler.Visitor.builder()
                .onChunk(chunk -> text.append(chunk.bytes().asUtf8String())).build();
        BedrockAgentRuntimeAsyncClient.create()
                .invokeAgent(input -> input.agentId("AGENT12345").agentAliasId("ALIAS12345").sessionId("one")
                        .inputText(PROMPT), InvokeAgentResponseHandler.builder().subscriber(visitor).build())
                .get(30, TimeUnit.SECONDS);
        expect(text.toString(), "Offline answer of the agent AGENT12345: you said: " + PROMPT);
        String payload = "{\"prompt\":" + quote(PROMPT) + "}";
        byte[] answer = BedrockAgentCoreClient.create().invokeAgentRuntime(input -> input.agentRuntimeArn(RUNTIME_ARN)
                .payload(SdkBytes.fromUtf8String(payload)), ResponseTransformer.toBytes())
                .asByteArray();
        expectIn("Offline answer of the runtime echo-a1b2c3d4e5: you said: " + PROMPT,
                new String(answer, StandardCharsets.UTF_8));
    }

    private static String converse(BedrockRuntimeClient client, String model) {
        return client.converse(input -> input.modelId(model).messages(message()))
                .output().message().content().get(0).text();
    }

    private static Message message() {
        return Message.builder().role(ConversationRole.USER).content(ContentBlock.fromText(PROMPT)).build();
    }

    private static AwsServiceException expectRefusal(Check check) {
        try {
            check.run();
        } catch (AwsServiceException refused) {
            return refused;
        } catch (Exception other) {
            throw new AssertionError("no AwsServiceException: " + other, other);
        }
        throw new AssertionError("nothing was refused");
    }

    private static String answerOf(String model) {
        return "Offline answer of " + model.replaceFirst("^us\\.", "") + ": you said: " + PROMPT;
    }

    private static void expect(String actual, String expected) {
        if (!expected.equals(actual)) throw new AssertionError(actual + " instead of " + expected);
    }

    private static void expectIn(String part, String whole) {
        if (!whole.contains(part)) throw new AssertionError(part + " is not in " + whole);
    }

    private static String quote(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replaceAll("[\\r\\n\\t]", " ") + '"';
    }

    private static void tell(String members) {
        byte[] line = ("{" + members + "}\n").getBytes(StandardCharsets.UTF_8);
        System.out.write(line, 0, line.length);
        System.out.flush();
    }
}
