// An OPC UA client that nobody here wrote: node-opcua. Prints one JSON object.
// Arguments: port, folder for certificates, "none" or "Basic256Sha256", user, password.
const {
  OPCUAClient, MessageSecurityMode, SecurityPolicy, UserTokenType, AttributeIds, ClientSubscription,
  ClientMonitoredItem, DataType, TimestampsToReturn, constructEventFilter, ofType,
} = require("node-opcua-client");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");

async function main() {
  const [port, folder, security, userName, password] = process.argv.slice(2);
  const secure = security !== "none";
  const clientCertificateManager = new OPCUACertificateManager({
    automaticallyAcceptUnknownCertificate: true, rootFolder: folder,
  });
  await clientCertificateManager.initialize();
  const client = OPCUAClient.create({
    applicationName: "plc",
    clientCertificateManager,
    endpointMustExist: false,
    securityMode: secure ? MessageSecurityMode.SignAndEncrypt : MessageSecurityMode.None,
    securityPolicy: secure ? SecurityPolicy.Basic256Sha256 : SecurityPolicy.None,
    connectionStrategy: { maxRetry: 1, initialDelay: 200 },
  });
  await client.connect(`opc.tcp://127.0.0.1:${port}/edgeirf`);
  const session = await client.createSession(
    userName ? { type: UserTokenType.UserName, userName, password } : undefined,
  );
  const index = (await session.readNamespaceArray()).indexOf("urn:edgeirf");
  const id = (name) => `ns=${index};s=edgeirf${name ? "." + name : ""}`;
  const value = async (name) => (await session.read({ nodeId: id(name), attributeId: AttributeIds.Value })).value;
  const found = { types: {}, values: {}, written: {}, events: [] };
  for (const name of ["State", "Heartbeat", "Result.PartId", "Result.Reject", "Result.Score", "Result.Sequence"]) {
    const read = await value(name);
    found.types[name] = DataType[read.dataType];
    found.values[name] = read.value;
  }

  const subscription = ClientSubscription.create(session, {
    requestedPublishingInterval: 50, requestedLifetimeCount: 1000, requestedMaxKeepAliveCount: 10,
    publishingEnabled: true, priority: 1,
  });
  const item = ClientMonitoredItem.create(
    subscription,
    { nodeId: id(""), attributeId: AttributeIds.EventNotifier },
    { samplingInterval: 0, discardOldest: true, queueSize: 1000,
      filter: constructEventFilter(["Message", `${index}:PartId`, `${index}:Reject`, `${index}:Score`]) },
    TimestampsToReturn.Both,
  );
  const four = new Promise((done) => item.on("changed", (fields) => {
    found.events.push(fields.map((field) => field.value && field.value.text ? field.value.text : field.value));
    if (found.events.length === 4) done();
  }));
  await new Promise((done) => item.once("initialized", done));
  const write = async (name, dataType, written) => (await session.write({
    nodeId: id(name), attributeId: AttributeIds.Value, value: { value: { dataType, value: written } },
  })).name;
  found.written.result = await write("Result.Reject", DataType.Boolean, false);
  found.written.part = await write("Command.PartId", DataType.UInt32, 7);
  found.written.trigger = await write("Command.Trigger", DataType.Boolean, true);  // the test publishes from here on
  await Promise.race([four, new Promise((done) => setTimeout(done, 15000))]);
  await subscription.terminate();
  await session.close();
  await client.disconnect();
  return found;
}

main().then(
  (found) => { console.log(JSON.stringify(found)); process.exit(0); },
  (error) => { console.log(JSON.stringify({ refused: error.message.split("\n")[0] })); process.exit(0); },
);
