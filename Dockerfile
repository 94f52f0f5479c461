# docker build -t ringside . && docker run --rm ringside [conformance | replay ... | --help]
FROM debian:12
WORKDIR /ringside
COPY packages.txt ./
COPY tools/setup.sh tools/steps.sh tools/
RUN tools/setup.sh run && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release && cmake --build --preset release --target ringside
ENTRYPOINT ["build/ringside"]
CMD ["all"]
