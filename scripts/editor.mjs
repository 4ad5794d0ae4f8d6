// An editor by the protocol's official client libraries, for scripts/editors.py: watches a run that asks for a yes, gives it, leaves,
// takes the conversation up again, and says what it saw, a line of JSON for each step.
import { spawn } from "node:child_process";
import { Readable, Writable } from "node:stream";

const { library, command, cwd, run, version } = JSON.parse(process.argv[2]);
const seen = { updates: {}, asked: 0 };
const tell = (step, found) => console.log(JSON.stringify({ step, ...found }));

const child = spawn(command[0], command.slice(1), { cwd, stdio: ["pipe", "pipe", "inherit"] });
const acp = await import(library);
const stream = acp.ndJsonStream(Writable.toWeb(child.stdin), Readable.toWeb(child.stdout));

let granted;
const yes = new Promise((resolve) => { granted = resolve; });
const permission = ({ options, toolCall }) => {
  seen.asked += 1;
  setTimeout(granted, 0, toolCall.title);
  return { outcome: { outcome: "selected", optionId: options.find((each) => each.kind === "allow_once").optionId } };
};
const update = ({ update: told }) => { seen.updates[told.sessionUpdate] = (seen.updates[told.sessionUpdate] ?? 0) + 1; };

async function story(agent) {
  const hello = await agent.initialize({ protocolVersion: version, clientCapabilities: {} });
  tell("initialize", { version: hello.protocolVersion, load: hello.agentCapabilities?.loadSession === true });
  const { sessionId } = await agent.newSession({ cwd, mcpServers: [] });
  const watching = agent.prompt({ sessionId, prompt: [{ type: "text", text: run }] });
  tell("permission", { title: await yes, asked: seen.asked });
  await agent.cancel({ sessionId });
  tell("prompt", { stop: (await watching).stopReason });
  seen.updates = {};
  await agent.loadSession({ sessionId, cwd, mcpServers: [] });
  tell("load", { updates: seen.updates });
  const unknown = await agent.prompt({ sessionId: "nothing", prompt: [{ type: "text", text: "x" }] }).catch((error) => error);
  tell("unknown", { code: unknown.code });
}

if (acp.ClientSideConnection) {
  await story(new acp.ClientSideConnection(() => ({ requestPermission: permission, sessionUpdate: update }), stream));
} else {
  const { agent, client } = acp.methods;
  const app = acp.client({ name: "nightmill-trial" })
    .onRequest(client.session.requestPermission, ({ params }) => permission(params))
    .onNotification(client.session.update, ({ params }) => update(params));
  await app.connectWith(stream, (context) => story({
    initialize: (params) => context.request(agent.initialize, params),
    newSession: (params) => context.request(agent.session.new, params),
    loadSession: (params) => context.request(agent.session.load, params),
    prompt: (params) => context.request(agent.session.prompt, params),
    cancel: (params) => context.notify(agent.session.cancel, params),
  }));
}
child.stdin.end();
child.on("exit", (code) => { tell("end", { code }); process.exit(0); });
