// edgeirf.h for .NET and mono. The shared library lies beside the program, or in LD_LIBRARY_PATH or PATH.
using System;
using System.Runtime.InteropServices;
using System.Text;

namespace EdgeIrf
{
    public enum PixelFormat { Bgr8, Rgb8, Gray8, Bgr16, Rgb16, Gray16, BayerRggb8, BayerGrbg8, BayerGbrg8, BayerBggr8, Nv12 }

    [StructLayout(LayoutKind.Sequential)]
    public struct Region { public int X, Y, Width, Height, Area; public float Peak; }

    [StructLayout(LayoutKind.Sequential)]
    public struct Verdict
    {
        public uint StructSize;
        int reject;
        public double Score, PValue, Threshold, PixelThreshold;
        public int RegionCount;
        public int Error;
        /// <summary>True: take the part off the line. Also true on every error.</summary>
        public bool Reject { get { return reject != 0; } }
        internal static Verdict Unknown() { return new Verdict { StructSize = 48, reject = 1 }; }
    }

    public sealed class EdgeirfException : Exception
    {
        public readonly int Code;
        public EdgeirfException(int code, string message) : base(message) { Code = code; }
    }

    /// <summary>One bundle, ready to inspect. Threads may share it.</summary>
    public sealed class Line : IDisposable
    {
        const string Library = "edgeirf";
        const CallingConvention C = CallingConvention.Cdecl;

        [StructLayout(LayoutKind.Sequential)]
        struct Options { public uint StructSize; public int Threads, TimeoutMs, Reserved; public IntPtr OnnxRuntime, Provider, Product; }

        [DllImport(Library, CallingConvention = C)] static extern int edgeirf_abi();
        [DllImport(Library, CallingConvention = C)] static extern int edgeirf_load(byte[] path, ref Options options, out IntPtr line);
        [DllImport(Library, CallingConvention = C)] static extern int edgeirf_connect(byte[] socket, ref Options options, out IntPtr line);
        [DllImport(Library, CallingConvention = C)]
        static extern int edgeirf_inspect(IntPtr line, byte[] pixels, int width, int height, int stride, int format, ref Verdict verdict,
            [Out] Region[] regions, int maxRegions, [Out] float[] map, int mapValues);
        [DllImport(Library, CallingConvention = C)]
        static extern int edgeirf_inspect(IntPtr line, IntPtr pixels, int width, int height, int stride, int format, ref Verdict verdict,
            [Out] Region[] regions, int maxRegions, [Out] float[] map, int mapValues);
        [DllImport(Library, CallingConvention = C)] static extern int edgeirf_map_size(IntPtr line, out int width, out int height);
        [DllImport(Library, CallingConvention = C)] static extern IntPtr edgeirf_info(IntPtr line, byte[] key);
        [DllImport(Library, CallingConvention = C)] static extern IntPtr edgeirf_last_error();
        [DllImport(Library, CallingConvention = C)] static extern void edgeirf_free(IntPtr line);

        IntPtr handle;

        Line(IntPtr handle) { this.handle = handle; }

        /// <summary>Opens a bundle in this process; product: of a bundle of several products.</summary>
        public static Line Load(string bundle, int threads = 1, string product = null)
        {
            var name = product == null ? IntPtr.Zero : Marshal.AllocHGlobal(Utf8(product).Length);
            try
            {
                if (product != null) Marshal.Copy(Utf8(product), 0, name, Utf8(product).Length);
                return Open(edgeirf_load, bundle, new Options { Threads = threads, Product = name });
            }
            finally { Marshal.FreeHGlobal(name); }
        }

        /// <summary>Opens the bundle of a server, `edgeirf serve BUNDLE --shm SOCKET`.</summary>
        public static Line Connect(string socket, int timeoutMs = 5000)
        {
            return Open(edgeirf_connect, socket, new Options { TimeoutMs = timeoutMs });
        }

        delegate int Opener(byte[] path, ref Options options, out IntPtr line);

        static Line Open(Opener open, string path, Options options)
        {
            if (edgeirf_abi() != 1) throw new EdgeirfException(1, "this file and the edgeirf library have different versions");
            options.StructSize = (uint)Marshal.SizeOf(options);
            IntPtr opened;
            Check(open(Utf8(path), ref options, out opened));
            return new Line(opened);
        }

        /// <summary>Inspects one frame; stride 0: rows are packed. Regions beyond the length of the array are left out.</summary>
        public Verdict Inspect(byte[] pixels, int width, int height, PixelFormat format, Region[] regions = null, float[] map = null, int stride = 0)
        {
            if (pixels == null || pixels.Length < Needed(width, height, stride, format))
                throw new EdgeirfException(4, "the frame has fewer bytes than its size, stride and format say");
            var verdict = Verdict.Unknown();
            Check(edgeirf_inspect(handle, pixels, width, height, stride, (int)format, ref verdict, regions, Length(regions), map, Length(map)));
            return verdict;
        }

        /// <summary>Inspects a frame of a camera's library, without a copy.</summary>
        public Verdict Inspect(IntPtr pixels, int width, int height, PixelFormat format, Region[] regions = null, float[] map = null, int stride = 0)
        {
            var verdict = Verdict.Unknown();
            Check(edgeirf_inspect(handle, pixels, width, height, stride, (int)format, ref verdict, regions, Length(regions), map, Length(map)));
            return verdict;
        }

        /// <summary>Values of the anomaly map: width * height.</summary>
        public int MapLength(out int width, out int height)
        {
            Check(edgeirf_map_size(handle, out width, out height));
            return width * height;
        }

        /// <summary>What the bundle says of itself, as "edgeirf.model"; null when it has no such entry.</summary>
        public string Info(string key) { return Text(edgeirf_info(handle, Utf8(key))); }

        public void Dispose()
        {
            edgeirf_free(handle);
            handle = IntPtr.Zero;
        }

        static long Needed(int width, int height, int stride, PixelFormat format)
        {
            if (width < 1 || height < 1 || stride < 0) throw new EdgeirfException(4, "sides of a frame are 1 or more; a negative stride needs a pointer");
            var values = format == PixelFormat.Bgr8 || format == PixelFormat.Rgb8 || format == PixelFormat.Bgr16 || format == PixelFormat.Rgb16 ? 3 : 1;
            var bytes = format == PixelFormat.Bgr16 || format == PixelFormat.Rgb16 || format == PixelFormat.Gray16 ? 2 : 1;
            long row = (long)width * values * bytes, rows = format == PixelFormat.Nv12 ? (long)height * 3 / 2 : height;
            return stride == 0 ? rows * row : (rows - 1) * stride + row;
        }

        static int Length(Array array) { return array == null ? 0 : array.Length; }
        static byte[] Utf8(string text) { return Encoding.UTF8.GetBytes(text + "\0"); }

        static string Text(IntPtr text)
        {
            if (text == IntPtr.Zero) return null;
            var length = 0;
            while (Marshal.ReadByte(text, length) != 0) ++length;
            var bytes = new byte[length];
            Marshal.Copy(text, bytes, 0, length);
            return Encoding.UTF8.GetString(bytes);
        }

        static void Check(int code) { if (code != 0) throw new EdgeirfException(code, Text(edgeirf_last_error())); }
    }
}
