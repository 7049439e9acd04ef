// Verdicts in Node: the bare graph of a bundle, with onnxruntime-node alone.
//
//   npm install
//   edgeirf export bottle.irf --standalone bottle.onnx --pixel-format rgb8
//   node inspect.js bottle.onnx PICTURE ...
//
// PICTURE: binary PPM or PGM, or a camera's bytes with rows, columns and bytes a pixel in its name:
// part.raw:1536x1280x1 is an nv12 frame of 1280x1024 pixels.
const { readFileSync } = require("node:fs");
const ort = require("onnxruntime-node");

function frameOf(picture) {
  const raw = picture.match(/^(.*):(\d+)x(\d+)x(\d+)$/);
  if (raw) return tensor(readFileSync(raw[1]), raw.slice(2, 5).map(Number));
  const data = readFileSync(picture);
  const head = data.subarray(0, 64).toString("latin1").match(/^P([56])\s+(\d+)\s+(\d+)\s+255\s/);
  if (!head) throw new Error("not a binary PPM or PGM of 8 bits");
  return tensor(data.subarray(head[0].length), [Number(head[3]), Number(head[2]), head[1] === "6" ? 3 : 1]);
}

function tensor(bytes, shape) {
  if (bytes.length !== shape.reduce((a, b) => a * b)) throw new Error(`${bytes.length} bytes are not ${shape.join("x")}`);
  return new ort.Tensor("uint8", Uint8Array.from(bytes), shape);
}

async function main([graph, ...pictures]) {
  if (!pictures.length) {
    console.error("usage: node inspect.js FILE.onnx PICTURE ...");
    return 2;
  }
  let session;
  try {
    session = await ort.InferenceSession.create(graph, { logSeverityLevel: 3 });
  } catch (error) {
    console.error(`cannot open ${graph}: ${firstLine(error)}`);
    return 2;
  }
  let rejects = 0;
  for (const picture of pictures) {
    let reject = true; // also for whatever fails
    let said;
    try {
      const out = await session.run({ frame: frameOf(picture) }, ["score", "reject", "p_value"]);
      const [score, pValue] = [out.score, out.p_value].map((one) => Number(Number(one.data[0]).toPrecision(6)));
      reject = Boolean(out.reject.data[0]);
      said = `score ${score}, p-value ${pValue}`;
    } catch (error) {
      said = firstLine(error);
    }
    rejects += reject;
    console.log(`${picture}: ${reject ? "REJECT" : "good"}, ${said}`);
  }
  return rejects ? 1 : 0;
}

function firstLine(error) {
  return String(error.message).split("\n")[0];
}

main(process.argv.slice(2)).then((code) => process.exit(code));
