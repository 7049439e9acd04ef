// An S7 client that nobody here wrote: nodes7. Writes commands, reads the block, prints one JSON object.
// Arguments: port, number of the data block.
const NodeS7 = require("nodes7");

const [port, block] = process.argv.slice(2);
const names = {
  state: `DB${block},INT2`, heartbeat: `DB${block},INT4`, verdict: `DB${block},INT12`,
  part: `DB${block},DINT16`, score: `DB${block},DINT24`, completed: `DB${block},X7.3`, valid: `DB${block},X7.4`,
  command: `DB${block},INT64`, commandPart: `DB${block},DINT68`,
};
const plc = new NodeS7({ silent: true });
plc.initiateConnection({ port: Number(port), host: "127.0.0.1", rack: 0, slot: 1, timeout: 5000 }, (error) => {
  if (error) throw error;
  plc.setTranslationCB((name) => names[name]);
  plc.addItems(Object.keys(names));
  // Two requests: snap7's server takes only the first of several items of a request.
  plc.writeItems("commandPart", 70001, () => plc.writeItems("command", 1, () => {
    plc.readAllItems((bad, values) => {
      console.log(JSON.stringify({ bad, ...values }));
      plc.dropConnection(() => process.exit(0));
    });
  }));
});
